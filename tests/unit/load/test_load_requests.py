"""The bytes of requests, and what people search for."""

from __future__ import annotations

import json
import os
from collections import Counter
from ipaddress import IPv4Address

from orchestrator.load.order import Contents, KnownUser, UserPool, WorkerOrder
from orchestrator.load.queries import PHRASE_BYTES, POPULAR, query
from orchestrator.load.requests import RequestMaker, request_makers
from probes.target import Check, Marks, Route
from steady_state.load_plan import LoadPlan, RoutePlan

ROUTES = {
    "search": Route(method="POST", path="/search", body={"query": "{query}", "page": 1}, authenticated_ratio=0.3, maximum_ms=1),
    "watch": Route(
        method="POST",
        path="/watch",
        body={"user": "{user_id}", "content_id": "{content_id}", "op": "{operation_id}"},
        check=Check(equals={"operation_id": "{operation_id}"}),
        authenticated_ratio=1,
        maximum_ms=1,
    ),
    "content": Route(
        method="GET",
        path="/content/{content_id}?q={query}",
        check=Check(equals={"content.id": "{content_id}"}),
        authenticated_ratio=0,
        maximum_ms=1,
    ),
}


def makers(seed: int = 1, source: str = "load") -> dict[str, RequestMaker]:
    order = WorkerOrder(
        base_url="http://gateway.test:8080/edge",
        marks=Marks(),
        routes=ROUTES,
        plan=LoadPlan(source=source, start_s=0, routes=dict.fromkeys(ROUTES, RoutePlan(rate_per_s=1, phase_s=0, maximum_ms=1))),
        users=UserPool(
            known=[KnownUser(user_id=f"user-{n}", token=f"token-{n}") for n in range(3)],
            anonymous=7,
            first_address=IPv4Address("100.64.0.1"),
        ),
        contents=Contents(id_format="content-{number:05d}", count=10_000),
        seed=seed,
        connections=1,
    )
    return request_makers(order)


def taken_apart(message: bytes) -> tuple[str, dict[str, str], bytes]:
    head, _, body = message.partition(b"\r\n\r\n")
    first, *rest = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in rest)
    assert int(headers["Content-Length"]) == len(body)
    assert headers["Host"] == "gateway.test:8080"
    return first, headers, body


def test_a_request_depends_on_seed_route_and_number_only() -> None:
    for name in ROUTES:
        assert makers()[name].make(41) == makers()[name].make(41)
        assert makers()[name].make(41) != makers()[name].make(42)
    assert makers(seed=1)["search"].make(2) != makers(seed=2)["search"].make(2)


def test_a_post_carries_json() -> None:
    first, headers, body = taken_apart(makers()["watch"].make(5))
    assert first == "POST /edge/watch HTTP/1.1"
    document = json.loads(body)
    assert document["op"] == "load-watch-1-5"
    assert headers["Content-Type"] == "application/json"
    assert headers["Authorization"] == f"Bearer token-{document['user'][-1]}"


def test_a_get_has_its_fields_in_the_path_quoted() -> None:
    first, headers, body = taken_apart(makers()["content"].make(5))
    method, path, _ = first.split(" ")
    assert (method, body) == ("GET", b"")
    assert path.startswith("/edge/content/content-")
    assert "%20" in path
    assert "Authorization" not in headers


def test_the_expected_answer_follows_from_the_number() -> None:
    watch = makers()["watch"]
    assert watch.expected(9) == {"operation_id": "load-watch-1-9"}
    content = makers()["content"]
    assert content.expected(9)["content.id"].encode() in content.make(9)
    assert makers()["search"].expected(9) == {}


def test_operation_ids_never_repeat() -> None:
    ids = {
        json.loads(taken_apart(makers(seed, source)["watch"].make(number))[2])["op"]
        for seed in (1, 2)
        for source in ("load", "outside")
        for number in range(200)
    }
    assert len(ids) == 800


def test_calls_with_a_token_are_spread_evenly_and_users_take_turns() -> None:
    search = makers()["search"]
    users = [search.user(number) for number in range(1000)]
    known = [bool(user.token) for user in users]
    assert sum(known) == 300
    assert all(2 <= sum(known[at : at + 10]) <= 4 for at in range(990))
    turns = Counter(user.user_id for user in users)
    assert len(turns) == 10
    assert set(turns.values()) == {100}
    assert len({user.headers for user in users}) == 10


def test_a_hundred_of_ten_thousand_items_get_half_of_the_calls() -> None:
    content = makers()["content"]
    drawn = [content.expected(number)["content.id"] for number in range(4000)]
    assert all(len(item) == len("content-00000") and 1 <= int(item[8:]) <= 10_000 for item in drawn)
    assert 0.45 < sum(int(item[8:]) < 100 for item in drawn) / len(drawn) < 0.55


def test_half_of_the_queries_are_popular_and_the_rest_new() -> None:
    drawn = [query(os.urandom(PHRASE_BYTES)) for _ in range(4000)]
    popular = [text for text in drawn if text in POPULAR]
    assert 0.45 < len(popular) / len(drawn) < 0.55
    assert len(set(POPULAR)) == len(set(popular)) == 50
    new = [text for text in drawn if text not in POPULAR]
    assert len(set(new)) > 0.98 * len(new)


def test_a_query_has_three_to_twenty_words() -> None:
    lengths = Counter(len(query(bytes([n % 256, n // 256 * 2, 0, 0] + [0] * 18)).split()) for n in range(256))
    assert set(lengths) == set(range(3, 21))
