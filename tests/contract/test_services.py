"""The services as processes, against the real stores: answers, marks, fallbacks, breakers, queue."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
import redis

from sandbox.data.cache import prepared
from sandbox.ports import free_port
from sandbox.postgres import programs
from sandbox.process import die_with_parent, unprivileged
from sandbox.services.discovery.query import Query
from sandbox.settings import Settings

DEADLINE_S = 20.0
SECRET = "a secret of the contract tests, long enough"
PASSWORD = "sandbox"
HOST = "127.0.0.1"
SERVICES = {
    "gateway": "gateway",
    "discovery": "discovery",
    "sona": "sona",
    "sync": "sync",
    "sync-2": "sync",
    "auth": "auth",
}
REPLICAS = ("sync", "sync-2")
REFUSED_TRIES = 'calls_total{dependency="pubnub",outcome="error"}'
SETTINGS = Settings(
    discovery_startup_s=0.2,
    drain_s=0.1,
    qdrant_breaker_open_s=0.5,
    gateway_sona_failures=3,
    gateway_sona_open_s=0.5,
    pubnub_breaker_open_s=1.0,
    sync_replay_s=0.2,
)


def until(condition: Callable[[], object], *, within_s: float = DEADLINE_S) -> None:
    """Wait for a condition; no connection yet means that it does not hold yet."""
    deadline_s = time.monotonic() + within_s
    while True:
        try:
            if condition():
                return
        except (httpx.TransportError, redis.ConnectionError):
            pass
        assert time.monotonic() < deadline_s, f"not within {within_s:g} s"
        time.sleep(0.02)


@dataclass
class Stack:
    """The processes of a small platform; every one listens on a port of its own."""

    directory: Path
    ports: dict[str, int]
    client: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=10))
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def url(self, name: str) -> str:
        return f"http://{HOST}:{self.ports[name]}"

    def start(self, name: str, *command: str, **environment: str) -> None:
        volume = self.directory / name
        volume.mkdir(exist_ok=True)
        pod = {"POD_IP": HOST, "PORT": str(self.ports[name]), "POD_NAME": f"{name}-pod", "VOLUME_DATA": str(volume)}
        with (self.directory / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                [sys.executable, "-m", *command],
                env=os.environ | pod | environment,
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - no threads here
            )

    def end(self, name: str, number: int = signal.SIGTERM) -> int:
        process = self.running.pop(name)
        process.send_signal(number)
        return process.wait(DEADLINE_S)

    def start_service(self, name: str) -> None:
        dsn = f"postgresql://media@{HOST}:{{}}/media_gateway"
        self.start(
            name,
            "sandbox.services",
            SERVICES[name],
            REDIS_URL=f"redis://{HOST}:{self.ports['redis']}/0",
            QDRANT_URL=self.url("qdrant"),
            PUBNUB_ORIGIN=self.url("pubnub-link"),
            PUBNUB_PUBLISH_KEY="pub-sandbox",
            PUBNUB_SUBSCRIBE_KEY="sub-sandbox",
            POSTGRES_PRIMARY_DSN=dsn.format(self.ports["postgres"]),
            # The first replica is dead; behind the others is the primary, as far as a reader can tell.
            POSTGRES_REPLICA_DSNS=",".join(dsn.format(self.ports[name]) for name in ("nobody", "postgres-link", "postgres")),
            JWT_SECRET=SECRET,
            **{f"{other.upper()}_URL": self.url(other) for other in ("discovery", "sona", "sync", "auth")},
            **SETTINGS.environment(),
        )

    def start_store(self, name: str) -> None:
        self.start(name, f"sandbox.{'valkey' if name == 'redis' else name}", QDRANT_STORAGE=str(self.directory / "storage"))

    def start_links(self) -> None:
        links = [
            {"name": name, "listen": f"{HOST}:{self.ports[f'{name}-link']}", "upstream": f"{HOST}:{self.ports[name]}", "enabled": True}
            for name in ("pubnub", "postgres")
        ]
        self.start("toxiproxy", "sandbox.toxiproxy", TOXIPROXY_CONFIG_JSON=json.dumps(links))

    def link(self, name: str, *, enabled: bool) -> None:
        self.client.post(f"{self.url('toxiproxy')}/proxies/{name}", json={"enabled": enabled}).raise_for_status()

    @contextmanager
    def silent(self, name: str) -> Iterator[None]:
        """The link takes everything and passes nothing on."""
        url = f"{self.url('toxiproxy')}/proxies/{name}/toxics"
        for stream in ("upstream", "downstream"):
            toxic = {"name": stream, "type": "timeout", "stream": stream, "attributes": {"timeout": 0}}
            self.client.post(url, json=toxic).raise_for_status()
        yield
        for stream in ("upstream", "downstream"):
            self.client.delete(f"{url}/{stream}").raise_for_status()

    def is_ready(self, name: str) -> bool:
        return self.client.get(f"{self.url(name)}/health/ready").status_code == 200

    def post(self, path: str, body: dict[str, Any], *, token: str | None = None, name: str = "gateway") -> httpx.Response:
        return self.client.post(self.url(name) + path, json=body, headers=self.caller(token))

    def get(self, path: str, *, token: str | None = None, name: str = "gateway") -> httpx.Response:
        return self.client.get(self.url(name) + path, headers=self.caller(token))

    def caller(self, token: str | None) -> dict[str, str]:
        """A new client address per call, so that limits do not bite; or a bearer token."""
        return {"Authorization": f"Bearer {token}"} if token else {"X-Forwarded-For": f"10.0.{uuid.uuid4().hex}"}

    def published(self, user_id: str) -> list[dict[str, Any]]:
        """All messages on the user's channel, the oldest first."""
        url = f"{self.url('pubnub')}/v2/history/sub-key/sub-sandbox/channel/user.{user_id}.sync?count=100"
        messages: list[dict[str, Any]] = self.client.get(url).json()[0]
        return messages

    def breaker(self, name: str) -> str:
        health = self.client.get(f"{self.url(name)}/health").json()
        state: str = health["circuit_breakers"]["pubnub"]["state"]
        return state

    def metric(self, name: str, sample: str) -> float:
        lines = self.client.get(f"{self.url(name)}/metrics").text.splitlines()
        return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(sample + " ")), 0.0)

    @property
    def redis(self) -> "redis.Redis":
        return redis.Redis(host=HOST, port=self.ports["redis"])


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    stores = ("nobody", "redis", "qdrant", "postgres", "postgres-link", "pubnub", "pubnub-link", "toxiproxy")
    # Not pytest's own directory: that one is closed to the user that PostgreSQL runs as.
    with tempfile.TemporaryDirectory(prefix="chaos-sandbox-test-") as name:
        Path(name).chmod(0o711)
        stack = Stack(Path(name), {name: free_port() for name in (*stores, *SERVICES)})
        try:
            start_all(stack)
            yield stack
        finally:
            stack.client.close()
            for process in stack.running.values():
                process.send_signal(signal.SIGINT)
            for process in stack.running.values():
                process.wait(DEADLINE_S)
            # pytest shows this when a test fails.
            for log in sorted(stack.directory.glob("*.log")):
                print(f"--- {log.stem}", log.read_text()[-3000:], sep="\n")


def start_all(stack: Stack) -> None:
    seed = prepared(PASSWORD, lambda _: None)
    shutil.copytree(seed.qdrant, stack.directory / "storage")
    binaries = str(programs.usable(unprivileged(), stack.directory))
    stack.start("postgres", "sandbox.postgres", "primary", POSTGRES_BIN=binaries, POSTGRES_SEED_DIR=str(seed.postgres))
    for name in ("redis", "qdrant", "pubnub"):
        stack.start_store(name)
    stack.start_links()
    for name in SERVICES:
        stack.start_service(name)
    until(stack.redis.ping)
    until(lambda: stack.client.get(stack.url("qdrant") + "/readyz").status_code == 200)
    until(lambda: stack.client.get(stack.url("pubnub") + "/time/0").status_code == 200)
    until(lambda: all(stack.is_ready(name) for name in SERVICES))


def login(stack: Stack, user_id: str) -> dict[str, Any]:
    response = stack.post("/api/v1/auth/login", {"user_id": user_id, "password": PASSWORD})
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def change(stack: Stack, user_id: str, number: int, *, name: str, operation_id: str | None = None) -> httpx.Response:
    """A watchlist add straight at one sync replica."""
    body = {"operation": "add", "content_id": f"content-{number:05d}", "device_id": "phone"}
    body |= {"operation_id": operation_id} if operation_id else {}
    return stack.client.post(stack.url(name) + "/api/v1/sync/watchlist", json=body, headers={"X-User-Id": user_id})


def test_search_is_fresh_once_and_then_from_the_cache(stack: Stack) -> None:
    fresh = stack.post("/api/v1/search", {"query": "A haunted lighthouse  horror"})
    assert (fresh.status_code, fresh.headers["X-Cache"]) == (200, "MISS")
    assert fresh.headers["X-Served-By"] == "discovery-pod"
    assert len(fresh.json()["results"]) == 20
    assert fresh.json()["results"][0]["vector_similarity"] > 0
    assert fresh.json()["query_parsed"]["confidence"] == 0.5
    again = stack.post("/api/v1/search", {"query": "a haunted lighthouse horror"})
    assert (again.headers["X-Cache"], again.json()) == ("HIT", fresh.json())
    assert int(again.headers["Age"]) >= 0
    assert stack.post("/api/v1/search", {"query": ""}).status_code == 400


def test_content_is_kept_at_the_gateway(stack: Stack) -> None:
    first = stack.get("/api/v1/content/content-00042")
    assert (first.status_code, first.headers["X-Cache"]) == (200, "MISS")
    assert first.json()["content"]["id"] == "content-00042"
    second = stack.get("/api/v1/content/content-00042")
    assert (second.headers["X-Cache"], second.headers["X-Served-By"]) == ("HIT", "gateway-pod")
    assert second.headers["ETag"] == first.headers["ETag"]
    assert stack.get("/api/v1/content/nothing").status_code == 404


def test_recommendations_are_personal(stack: Stack) -> None:
    everybody = stack.post("/api/v1/sona/recommendations", {}).json()["recommendations"]
    mine = stack.post("/api/v1/sona/recommendations", {"user_id": "user-0007"})
    assert len(everybody) == len(mine.json()["recommendations"]) == 20
    assert everybody != mine.json()["recommendations"]
    assert "X-Degraded" not in mine.headers


def test_a_change_reaches_the_other_devices(stack: Stack) -> None:
    token = login(stack, "user-0001")["access_token"]
    body = {"operation": "add", "content_id": "content-00001", "device_id": "phone", "operation_id": "op-1"}
    accepted = stack.post("/api/v1/sync/watchlist", body, token=token)
    assert accepted.json() | {"accepted": True, "operation_id": "op-1", "delivery": "published"} == accepted.json()
    until(lambda: len(stack.published("user-0001")) == 1)
    message = stack.published("user-0001")[0]
    assert (message["type"], message["hlc"]) == ("watchlist_update", accepted.json()["hlc"])
    repeated = stack.post("/api/v1/sync/watchlist", body, token=token)
    assert repeated.json()["hlc"] == accepted.json()["hlc"]
    progress = {"content_id": "content-00001", "position_seconds": 60, "duration_seconds": 600, "state": "playing"}
    assert stack.post("/api/v1/sync/progress", progress, token=token).status_code == 200
    until(lambda: len(stack.published("user-0001")) == 2)
    items = stack.get("/api/v1/sync/watchlist", token=token).json()["items"]
    assert [item["content_id"] for item in items] == ["content-00001"]
    stack.post("/api/v1/sync/watchlist", {"operation": "remove", "content_id": "content-00001"}, token=token)
    assert stack.get("/api/v1/sync/watchlist", token=token).json()["items"] == []


def test_tokens(stack: Stack) -> None:
    assert stack.get("/api/v1/sync/watchlist").status_code == 401
    assert stack.get("/api/v1/content/content-00001", token="nonsense").status_code == 401
    assert stack.post("/api/v1/auth/login", {"user_id": "user-0002", "password": "wrong"}).status_code == 401
    first = login(stack, "user-0002")
    second = stack.post("/api/v1/auth/refresh", {"refresh_token": first["refresh_token"]}).json()
    assert stack.get("/api/v1/auth/session", token=second["access_token"]).json()["session_id"] == first["session_id"]
    assert stack.post("/api/v1/auth/refresh", {"refresh_token": first["refresh_token"]}).status_code == 401
    assert stack.get("/api/v1/auth/session", token=second["access_token"]).status_code == 401, "a reused token ends all"


def test_a_flushed_cache_costs_no_answer_and_no_session(stack: Stack) -> None:
    token = login(stack, "user-0003")["access_token"]
    stack.post("/api/v1/search", {"query": "a flushed cache"})
    stack.redis.flushall()
    assert stack.post("/api/v1/search", {"query": "a flushed cache"}).headers["X-Cache"] == "MISS"
    assert stack.get("/api/v1/auth/session", token=token).json()["user_id"] == "user-0003"
    until(lambda: stack.redis.exists(f"session:{jwt.decode(token, SECRET, ['HS256'])['sid']}"))


def test_a_silent_cache_costs_no_answer(stack: Stack) -> None:
    token = login(stack, "user-0004")["access_token"]
    stack.running["redis"].send_signal(signal.SIGSTOP)
    try:
        for number in range(3):
            query = {"query": f"a silent cache {number}"}
            for path, body in (("search", query), ("sona/recommendations", {"user_id": "user-0004"})):
                start_s = time.monotonic()
                assert stack.post(f"/api/v1/{path}", body).status_code == 200
                assert time.monotonic() - start_s < 2
        assert stack.get("/api/v1/auth/session", token=token).status_code == 200
    finally:
        stack.running["redis"].send_signal(signal.SIGCONT)
    until(lambda: "X-RateLimit-Limit" in stack.get("/api/v1/content/content-00042").headers)


def test_dead_and_silent_replicas_are_passed_over(stack: Stack) -> None:
    for number in range(6):
        assert stack.get(f"/api/v1/content/content-{number + 100:05d}").status_code == 200
    assert stack.metric("discovery", 'calls_total{dependency="postgres-replica",outcome="error"}') > 0
    with stack.silent("postgres"):
        start_s = time.monotonic()
        for number in range(20):
            assert stack.get(f"/api/v1/content/content-{number + 200:05d}").status_code == 200
        # Once a quarter of a second, not twenty times; the rest is room for a busy machine.
        assert time.monotonic() - start_s < 2
    assert stack.metric("discovery", 'fallbacks_total{kind="database-failover"}') >= 1
    assert stack.is_ready("discovery")


def test_limits_are_per_user(stack: Stack) -> None:
    claims = {"sub": f"limited-{uuid.uuid4().hex}", "tier": "free", "exp": time.time() + 60}
    token = jwt.encode(claims, SECRET)
    answers = [stack.get("/api/v1/content/content-00042", token=token) for _ in range(40)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert answers[0].status_code == 200
    assert answers[0].headers["X-RateLimit-Limit"] == "10"
    assert refused
    assert refused[0].json()["error"]["code"] == "RATE_LIMITED"
    assert int(refused[0].headers["Retry-After"]) >= 1
    assert stack.get("/api/v1/content/content-00042").status_code == 200


def test_without_qdrant_answers_come_from_elsewhere_and_say_so(stack: Stack) -> None:
    until(lambda: "X-Degraded" not in stack.post("/api/v1/search", {"query": "a known query"}).headers)
    stack.redis.delete(Query("a known query", 1, 20).cache_key)
    stack.end("qdrant", signal.SIGKILL)
    stale = stack.post("/api/v1/search", {"query": "a known query"})
    assert (stale.status_code, stale.headers["X-Degraded"]) == (200, "stale-cache")
    assert int(stale.headers["Age"]) >= 0
    keyword = stack.post("/api/v1/search", {"query": "never asked before: detective"})
    assert (keyword.status_code, keyword.headers["X-Degraded"]) == (200, "keyword")
    assert keyword.json()["partial_results"]
    assert keyword.json()["warnings"]
    assert {result["vector_similarity"] for result in keyword.json()["results"]} == {None}
    for number in range(3):
        stack.post("/api/v1/search", {"query": f"opens the breaker {number}"})
    assert stack.metric("discovery", 'circuit_breaker_transitions_total{name="qdrant",to="open"}') >= 1
    assert b'"open"' in stack.redis.get("circuit_breaker:qdrant:state")  # type: ignore[operator]
    stack.start_store("qdrant")
    until(lambda: "X-Degraded" not in stack.post("/api/v1/search", {"query": uuid.uuid4().hex}).headers)
    assert stack.metric("discovery", 'circuit_breaker_state{name="qdrant"}') == 0


def test_a_partition_queues_and_loses_nothing(stack: Stack) -> None:
    change(stack, "queue-user", 0, name="sync")
    until(lambda: len(stack.published("queue-user")) == 1)
    tries = [stack.metric(name, REFUSED_TRIES) for name in REPLICAS]
    stack.link("pubnub", enabled=False)
    sent = [0]
    while any(stack.breaker(name) != "open" for name in REPLICAS):
        sent.append(len(sent))
        assert change(stack, "queue-user", sent[-1], name=REPLICAS[sent[-1] % 2]).status_code == 200
        time.sleep(0.05)
        assert len(sent) < 200, "the breakers did not open"
    assert all(stack.metric(name, REFUSED_TRIES) - before >= 3 for name, before in zip(REPLICAS, tries, strict=True))
    for _ in range(20):
        sent.append(len(sent))
        answer = change(stack, "queue-user", sent[-1], name=REPLICAS[sent[-1] % 2])
        assert (answer.status_code, answer.json()["delivery"], answer.headers["X-Degraded"]) == (200, "queued", "queued")
    stack.link("pubnub", enabled=True)
    until(lambda: len(stack.published("queue-user")) >= len(sent))
    assert [message["content_id"] for message in stack.published("queue-user")] == [f"content-{n:05d}" for n in sent]
    until(lambda: breakers_close(stack))


def breakers_close(stack: Stack) -> bool:
    for name in REPLICAS:
        change(stack, f"probe-{name}", 1, name=name, operation_id=uuid.uuid4().hex)
    return all(stack.breaker(name) == "closed" for name in REPLICAS)


def test_an_open_breaker_refuses_at_once(stack: Stack) -> None:
    assert stack.end("sona") == 0
    answers = [stack.post("/api/v1/sona/recommendations", {}) for _ in range(3)]
    assert {answer.json()["error"]["code"] for answer in answers} == {"SERVICE_UNAVAILABLE"}
    start_s = time.perf_counter()
    refused = stack.post("/api/v1/sona/recommendations", {})
    elapsed_s = time.perf_counter() - start_s
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "CIRCUIT_BREAKER_OPEN")
    assert int(refused.headers["Retry-After"]) >= 1
    assert elapsed_s < 0.25
    unranked = stack.post("/api/v1/search", {"query": "nobody ranks this"})
    assert (unranked.status_code, unranked.headers["X-Degraded"]) == (200, "unranked")
    assert stack.get("/health").json()["checks"]["sona"]["circuit_breaker"] == "open"
    stack.start_service("sona")
    until(lambda: stack.post("/api/v1/sona/recommendations", {}).status_code == 200)
    assert stack.get("/health").json()["checks"]["sona"]["circuit_breaker"] == "closed"


def test_requests_in_flight_end_before_a_service_does(stack: Stack) -> None:
    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(stack.post, "/api/v1/search", {"query": f"in flight {n}"}, name="discovery") for n in range(8)]
        until(lambda: any(answer.done() for answer in answers))
        start_s = time.monotonic()
        code = stack.end("discovery")
        ended_s = time.monotonic() - start_s
    assert {answer.result().status_code for answer in answers} == {200}
    assert code == 0
    assert ended_s < 4
    stack.start_service("discovery")
    until(lambda: stack.is_ready("discovery"))
