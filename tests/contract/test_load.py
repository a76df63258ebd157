"""The load worker as a process against a server that fails in every way."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import replace
from ipaddress import IPv4Address

import psutil
import pytest
from scripted_server import GOOD, Reply, ScriptedServer

from orchestrator.load.login import LoginError, log_in
from orchestrator.load.order import Contents, KnownUser, UserPool, WorkerOrder
from orchestrator.load.worker import LoadWorker, LoadWorkerError
from probes.clock import SystemClock
from probes.target import Check, Marks, Route, TargetDescription
from steady_state.instants import Span
from steady_state.latency import quantile
from steady_state.load_plan import LoadPlan, RoutePlan
from steady_state.observations import ExemplarLine, LoadEndLine, LoadPlanLine, Observation, RequestLine, TallyLine
from steady_state.outcomes import SERVED, Outcome

CLOCK = SystemClock()
TOKEN = "secret-token-of-a-user"
AHEAD_S = 1.0


def an_order(url: str, *, rates: dict[str, float], start_s: float, connections: int = 2000) -> WorkerOrder:
    """An order whose requests all carry their operation id."""
    routes = {
        "search": Route(
            method="POST",
            path="/search",
            body={"op": "{operation_id}", "query": "{query}"},
            check=Check(non_empty="results"),
            authenticated_ratio=0.3,
            maximum_ms=300,
        ),
        "content": Route(method="GET", path="/content/{content_id}?op={operation_id}", authenticated_ratio=0, maximum_ms=300),
    }
    plans = {name: RoutePlan(rate_per_s=rate, phase_s=0.3 / rate, maximum_ms=300) for name, rate in rates.items()}
    return WorkerOrder(
        base_url=url,
        marks=Marks(),
        routes={name: routes[name] for name in rates},
        plan=LoadPlan(source="load", start_s=start_s, timeout_ms=3500, routes=plans),
        users=UserPool(known=[KnownUser(user_id="user-0001", token=TOKEN)], anonymous=50, first_address=IPv4Address("100.64.0.1")),
        contents=Contents(id_format="content-{number:05d}", count=1000),
        seed=7,
        connections=connections,
    )


class Seen:
    """The lines of a worker, sorted out."""

    def __init__(self, lines: list[Observation], plan: LoadPlan) -> None:
        self.lines = lines
        self.plan = plan
        self.tallies = [line for line in lines if isinstance(line, TallyLine)]
        self.requests = {(line.route, line.number): line for line in lines if isinstance(line, RequestLine)}
        self.exemplars = [line for line in lines if isinstance(line, ExemplarLine)]
        self.end_s = next(line.end_s for line in lines if isinstance(line, LoadEndLine))

    def outcome(self, route: str, number: int) -> Outcome | None:
        """None for a request that was plainly served."""
        line = self.requests.get((route, number))
        return line.outcome if line else None

    def check_sums(self) -> int:
        """Every due request of the plan has exactly one outcome; returns how many there were."""
        assert sorted(line.second for line in self.tallies) == list(range(len(self.tallies)))
        total = 0
        for line in self.tallies:
            start_s = self.plan.start_s + line.second
            for route, tally in line.routes.items():
                due = self.plan.due_in(route, Span(start_s, min(start_s + 1, self.end_s)))
                assert tally.due == due == sum(tally.counts.values()), (route, line.second)
                served = sum(count for outcome, count in tally.counts.items() if outcome in SERVED)
                assert served == sum(count for _, count in tally.latency)
                total += due
        return total

    def check_lines_match_tallies(self) -> None:
        """The exceptional requests of each second are the ones that the tally counts."""
        told: dict[tuple[int, str], Counter[Outcome]] = defaultdict(Counter)
        for (route, number), request in self.requests.items():
            assert request.t == self.plan.due(route, number)
            if request.outcome not in SERVED:
                told[int(request.t - self.plan.start_s), route][request.outcome] += 1
        for line in self.tallies:
            for route, tally in line.routes.items():
                unserved = {outcome: count for outcome, count in tally.counts.items() if outcome not in SERVED}
                assert unserved == dict(told[line.second, route])


async def run_load(order: WorkerOrder, *, end_s: float, meanwhile: Callable[[], Awaitable[None]] | None = None) -> Seen:
    lines: list[Observation] = []
    worker = LoadWorker(order, lines.append, CLOCK)
    await worker.start()
    try:
        # Told at once: a test that is slow must not stop it late.
        await asyncio.gather(worker.stop(end_s), *([meanwhile()] if meanwhile else []))
        await worker.wait()
    finally:
        await worker.kill()
    assert isinstance(lines[0], LoadPlanLine)
    assert isinstance(lines[-1], LoadEndLine)
    return Seen(lines, order.plan)


# Offsets from the start of the load, seconds -> what the server does.
SCRIPT: tuple[tuple[float, Reply], ...] = (
    (0.0, GOOD),
    (0.6, Reply("busy", status=503)),
    (0.9, Reply("reset", breaks="reset")),
    (1.2, Reply("eof", breaks="eof")),
    (1.4, Reply("wrong", body=b'{"results": []}')),
    (1.6, Reply("late", delay_s=2.2)),
    (1.8, Reply("hang", breaks="hang")),
    (2.0, Reply("limited", status=429)),
    (2.1, Reply("missing", status=404)),
    (2.2, Reply("moved", status=302)),
    (2.3, Reply("cached", headers="X-Cache: HIT\r\nAge: 3\r\n")),
    (2.4, Reply("fallback", headers="X-Cache: HIT\r\nX-Degraded: stale-cache\r\nAge: 3\r\n")),
    (2.5, Reply("garbage", headers="Content-Length: 9\r\nbroken")),
    (2.6, GOOD),
)
FROZEN = Span(3.0, 4.0)
SHUT = Span(4.3, 4.7)
END_S = 5.2
MEANING = {
    "busy": Outcome.SERVER_ERROR,
    "reset": Outcome.RESET,
    "eof": Outcome.EOF,
    "wrong": Outcome.WRONG_ANSWER,
    "late": Outcome.LATE,
    "hang": Outcome.TIMEOUT,
    "limited": Outcome.RATE_LIMITED,
    "missing": Outcome.CLIENT_ERROR,
    "moved": Outcome.WRONG_ANSWER,
    "garbage": Outcome.WRONG_ANSWER,
}


async def test_each_due_request_ends_in_the_one_outcome_that_the_server_gave_it() -> None:
    start_s = CLOCK.now() + AHEAD_S

    def script(head: bytes) -> Reply:
        at_s = time.monotonic() - start_s
        if FROZEN.contains(at_s):
            return Reply("frozen", until_s=start_s + FROZEN.end)
        reply = next((reply for from_s, reply in reversed(SCRIPT) if at_s >= from_s), GOOD)
        return replace(reply, body=head) if reply.name == "busy" else reply  # a server that echoes the token

    async def shut_for_a_while() -> None:
        await CLOCK.sleep_until(start_s + SHUT.start)
        await server.shut()
        await CLOCK.sleep_until(start_s + SHUT.end)
        await server.open()

    server = ScriptedServer(script)
    await server.open()
    order = an_order(server.url, rates={"search": 60, "content": 40}, start_s=start_s)
    seen = await run_load(order, end_s=start_s + END_S, meanwhile=shut_for_a_while)
    await server.close()

    total = seen.check_sums()
    seen.check_lines_match_tallies()
    assert total == pytest.approx(100 * END_S, abs=2)
    arrived = sent_at_most_once(server, seen, total)
    ended_as_the_server_meant(seen, arrived)
    stalls_count_from_the_due_instant(seen, order, {key for key, reply in arrived.items() if reply.name == "frozen"}, start_s)
    exemplars_are_few_and_hold_no_token(seen)


Arrived = dict[tuple[str, int], Reply]
"""Route and number of each request that the server saw, and its reply."""


def sent_at_most_once(server: ScriptedServer, seen: Seen, total: int) -> Arrived:
    """The server saw each request at most once; those that it did not see met a closed port."""
    arrived: Arrived = {}
    for arrival in server.arrivals:
        _, name, _, digits = arrival.operation.split("-")
        assert (name, int(digits)) not in arrived, "sent twice"
        arrived[name, int(digits)] = arrival.reply
    unseen = {key: line.outcome for key, line in seen.requests.items() if key not in arrived}
    assert len(arrived) + len(unseen) == total
    assert set(unseen.values()) <= {Outcome.REFUSED, Outcome.RESET, Outcome.EOF}
    assert Counter(unseen.values())[Outcome.REFUSED] >= 10
    return arrived


def ended_as_the_server_meant(seen: Seen, arrived: Arrived) -> None:
    by_reply: dict[str, Counter[Outcome | None]] = defaultdict(Counter)
    for (route, number), reply in arrived.items():
        by_reply[reply.name][seen.outcome(route, number)] += 1
    for name, outcome in MEANING.items():
        if name == "wrong":  # the route `content` asks only for JSON
            assert by_reply[name][outcome] == sum(1 for (route, _), reply in arrived.items() if reply.name == name and route == "search")
            continue
        # A busy machine may stall the generator itself; that is its own outcome.
        assert set(by_reply[name]) <= {outcome, Outcome.GENERATOR}, name
        assert by_reply[name][outcome] > 0, name
    counts: Counter[Outcome] = Counter()
    for line in seen.tallies:
        for tally in line.routes.values():
            counts.update(tally.counts)
    assert counts[Outcome.CACHED] == sum(by_reply["cached"].values()) > 0
    assert counts[Outcome.FALLBACK] == sum(by_reply["fallback"].values()) > 0


def stalls_count_from_the_due_instant(seen: Seen, order: WorkerOrder, frozen: set[tuple[str, int]], start_s: float) -> None:
    """The stall shows in every request that was due while it lasted."""
    assert len(frozen) >= 50
    for key in frozen:
        left_ms = (start_s + FROZEN.end - order.plan.due(*key)) * 1000
        if left_ms > 310:
            assert seen.requests[key].latency_ms >= left_ms - 1
    third = next(line for line in seen.tallies if line.second == int(FROZEN.start))
    median_us = quantile([pair for tally in third.routes.values() for pair in tally.latency], 0.5)
    assert median_us is not None
    assert median_us >= 400_000


def exemplars_are_few_and_hold_no_token(seen: Seen) -> None:
    """Although the server echoes one."""
    assert 0 < len(seen.exemplars) <= 3 * (len(seen.tallies) + 7)
    assert TOKEN not in "".join(line.model_dump_json() for line in seen.lines)
    assert sum("Bearer [token]" in line.detail for line in seen.exemplars) <= sum(line.status == 503 for line in seen.exemplars)


async def test_users_have_addresses_and_tokens() -> None:
    server = ScriptedServer(lambda head: GOOD)
    await server.open()
    start_s = CLOCK.now() + AHEAD_S
    seen = await run_load(an_order(server.url, rates={"search": 100}, start_s=start_s), end_s=start_s + 1)
    await server.close()
    assert seen.check_sums() == len(server.arrivals) >= 100
    with_token = [arrival for arrival in server.arrivals if TOKEN.encode() in arrival.head]
    assert len(with_token) == pytest.approx(0.3 * len(server.arrivals), abs=1)
    addresses = Counter(arrival.head.split(b"X-Forwarded-For: ")[1].split(b"\r\n")[0] for arrival in server.arrivals)
    assert addresses[b"100.64.0.1"] == len(with_token)
    assert len(addresses) == 51
    assert all(set(json.loads(arrival.body)) == {"op", "query"} for arrival in server.arrivals)


async def test_a_target_that_holds_every_connection_leaves_requests_unsent() -> None:
    server = ScriptedServer(lambda head: Reply("slow", delay_s=0.7))
    await server.open()
    start_s = CLOCK.now() + AHEAD_S
    order = an_order(server.url, rates={"search": 50}, start_s=start_s, connections=10)
    seen = await run_load(order, end_s=start_s + 1)
    await server.close()
    total = seen.check_sums()
    outcomes = Counter(line.outcome for line in seen.requests.values())
    assert outcomes[Outcome.UNSENT] == total - len(server.arrivals)
    assert outcomes[Outcome.UNSENT] >= 25


async def test_end_of_file_on_stdin_stops_the_load_now() -> None:
    server = ScriptedServer(lambda head: Reply("slow", delay_s=0.3))
    await server.open()
    order = an_order(server.url, rates={"search": 50}, start_s=CLOCK.now() + AHEAD_S)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "orchestrator.load", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(order.model_dump_json().encode() + b"\n")
    async with asyncio.timeout(10):
        while len(server.arrivals) < 20:
            await asyncio.sleep(0.01)
        process.stdin.close()
        text = await process.stdout.read()
        assert await process.wait() == 0
    await server.close()
    lines = [json.loads(line) for line in text.splitlines()]
    assert lines[-1]["kind"] == "load_end"
    tallies = [route for line in lines if line["kind"] == "tally" for route in line["routes"].values()]
    unsent = sum(route["due"] for route in tallies) - len(server.arrivals)
    assert 0 <= unsent <= sum(route["counts"].get("generator", 0) for route in tallies)
    assert lines[-1]["end_s"] < CLOCK.now()


async def test_a_stopped_generator_is_never_charged_to_the_target() -> None:
    """SIGSTOP for longer than the served limit: what was due is lagged or the generator's, nothing is late or lost."""
    server = ScriptedServer(lambda head: Reply("slow", delay_s=0.2))
    await server.open()
    start_s = CLOCK.now() + AHEAD_S
    order = an_order(server.url, rates={"search": 100}, start_s=start_s)
    lines: list[Observation] = []
    worker = LoadWorker(order, lines.append, CLOCK)
    await worker.start()
    try:
        await CLOCK.sleep_until(start_s + 0.5)
        os.kill(worker.pid, signal.SIGSTOP)
        await CLOCK.sleep_until(start_s + 3.0)
        os.kill(worker.pid, signal.SIGCONT)
        await worker.stop(start_s + 3.5)
    finally:
        await worker.kill()
    await server.close()
    seen = Seen(lines, order.plan)
    seen.check_sums()
    outcomes = Counter(line.outcome for line in seen.requests.values())
    assert set(outcomes) <= {Outcome.GENERATOR, Outcome.FRESH}
    assert outcomes[Outcome.GENERATOR] >= 30
    assert sum(line.lagged for line in seen.tallies) >= 200
    # Requests that were on their way when the generator stopped are told apart as well.
    assert sum(line.outcome is Outcome.GENERATOR and line.t < start_s + 0.5 for line in seen.requests.values()) >= 10
    assert max(line.lag_max_ms for line in seen.tallies) >= 2000


async def test_a_killed_worker_is_trouble() -> None:
    server = ScriptedServer(lambda head: GOOD)
    await server.open()
    worker = LoadWorker(an_order(server.url, rates={"search": 20}, start_s=CLOCK.now() + 1), lambda line: None, CLOCK)
    await worker.start()
    os.kill(worker.pid, signal.SIGKILL)
    with pytest.raises(LoadWorkerError, match="source load ended with code -9"):
        await worker.wait()
    await worker.kill()
    await server.close()


async def test_a_wrong_order_is_refused_without_showing_it() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "orchestrator.load", stdin=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    order = json.dumps({"users": {"known": [{"user_id": "a b", "token": TOKEN}]}})
    _, errors = await process.communicate(order.encode() + b"\n")
    assert process.returncode == 2
    assert errors.startswith(b"the order is wrong: ")
    assert TOKEN.encode() not in errors


_PARENT = """
import asyncio, sys
from orchestrator.load.order import WorkerOrder
from orchestrator.load.worker import LoadWorker
from probes.clock import SystemClock

async def main():
    worker = LoadWorker(WorkerOrder.model_validate_json(sys.stdin.readline()), lambda line: None, SystemClock())
    await worker.start()
    print(worker.pid, flush=True)
    await worker.wait()

asyncio.run(main())
"""


async def test_the_worker_dies_with_its_parent() -> None:
    server = ScriptedServer(lambda head: Reply("hang", breaks="hang"))
    await server.open()
    order = an_order(server.url, rates={"search": 20}, start_s=CLOCK.now() + 1)
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _PARENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )
    assert parent.stdin is not None
    assert parent.stdout is not None
    parent.stdin.write(order.model_dump_json().encode() + b"\n")
    worker = psutil.Process(int(await parent.stdout.readline()))
    assert os.getsid(worker.pid) == worker.pid  # a terminal's Ctrl-C does not reach it
    parent.kill()
    await parent.wait()
    async with asyncio.timeout(2):  # well before its requests time out
        while worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE:
            await asyncio.sleep(0.02)
    await server.close()


def a_description(url: str) -> TargetDescription:
    return TargetDescription.model_validate(
        {
            "name": "test",
            "kubernetes": {"kubeconfig": "/nowhere", "context": "c", "namespace": "n"},
            "gateway_url": url,
            "users": {"count": 20, "id_format": "user-{number:04d}", "login_path": "/login", "password_env": "TEST_PASSWORD"},
            "content_id_format": "content-{number:05d}",
            "content_count": 10,
            "routes": {},
            "roles": {},
            "workloads": {},
        }
    )


async def test_users_log_in_each_as_a_client_of_its_own() -> None:
    server = ScriptedServer(lambda head: Reply("token", body=b'{"access_token": "abc"}'))
    await server.open()
    users = await log_in(a_description(server.url), range(1, 21), {"TEST_PASSWORD": "pass"})
    assert [user.user_id for user in users] == [f"user-{number:04d}" for number in range(1, 21)]
    assert {user.token for user in users} == {"abc"}
    clients = {arrival.head.lower().split(b"x-client-id: ")[1].split(b"\r\n")[0] for arrival in server.arrivals}
    assert len(clients) == 20
    await server.close()


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (Reply("no", status=401), "3 of 3 test users could not log in at .*/login: user-0001 was answered 401"),
        (Reply("odd", body=b"{}"), "without a usable access_token"),
        (Reply("cut", breaks="eof"), "user-0001: Server disconnected"),
    ],
)
async def test_a_login_that_fails_is_one_sentence(reply: Reply, words: str) -> None:
    server = ScriptedServer(lambda head: reply)
    await server.open()
    with pytest.raises(LoginError, match=words):
        await log_in(a_description(server.url), [1, 2, 3], {"TEST_PASSWORD": "pass"})
    await server.close()


async def test_a_missing_password_is_named() -> None:
    with pytest.raises(LoginError, match="set TEST_PASSWORD"):
        await log_in(a_description("http://127.0.0.1:9"), [1], {})
