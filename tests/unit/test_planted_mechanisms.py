"""What the settings of the flaws do inside a service, each by itself; the matrix shows what the judge makes of it."""

import asyncio
from collections.abc import Callable

import pytest

from sandbox.services.breaker import State
from sandbox.services.database import Cluster, Server
from sandbox.services.discovery.candidates import last_known
from sandbox.services.discovery.kept import KeptPages
from sandbox.services.discovery.query import Query
from sandbox.services.discovery.vectors import Vectors
from sandbox.services.loss import LossWatch
from sandbox.services.metrics import Metrics
from sandbox.services.store import Store
from sandbox.settings import Settings

SPACE, PIRATES = Query("space", 1, 20), Query("pirates", 1, 20)


class Remembering(Store):
    """A store that keeps its values in itself."""

    def __init__(self, settings: Settings) -> None:
        super().__init__("redis://127.0.0.1:1/0", settings, Metrics())
        self.values: dict[str, bytes] = {}
        self.pings = 0

    async def get(self, key: str, *, limit_s: float | None = None) -> bytes | None:
        return self.values.get(key)

    async def put(self, key: str, value: bytes, *, ttl_s: int) -> None:
        if not self.read_only:
            self.values[key] = value

    async def put_all(self, rows: list[tuple[str, bytes, int]]) -> None:
        for key, value, ttl_s in rows:
            await self.put(key, value, ttl_s=ttl_s)

    async def increment(self, key: str) -> int:
        value = int(self.values.get(key, b"0")) + 1
        self.values[key] = b"%d" % value
        return value

    async def reconnect(self, *, pings: int) -> None:
        self.pings += pings


async def page(pages: KeptPages, query: Query) -> bytes | None:
    found = await pages.get(query)
    return found.body if found else None


async def test_pages_by_question_are_right_or_gone_after_a_flush() -> None:
    store = Remembering(Settings())
    pages = KeptPages(store, Settings())
    await pages.put(SPACE, b"of space", [], [])
    store.values.clear()
    await pages.put(PIRATES, b"of pirates", [], [])
    assert (await page(pages, SPACE), await page(pages, PIRATES)) == (None, b"of pirates")


async def test_pages_by_number_mean_another_question_after_a_flush() -> None:
    settings = Settings(search_cache_by_number=True)
    store = Remembering(settings)
    pages = KeptPages(store, settings)
    await pages.put(SPACE, b"of space", [], [])
    assert (await page(pages, SPACE), await page(pages, PIRATES)) == (b"of space", None)
    store.values.clear()
    assert await page(pages, SPACE) is None
    await pages.put(PIRATES, b"of pirates", [], [])
    assert (await page(pages, SPACE), await page(pages, PIRATES)) == (b"of pirates", b"of pirates")


async def lost(settings: Settings) -> tuple[Remembering, LossWatch]:
    """A store that was flushed under a watch, which has noticed it."""
    store = Remembering(settings)
    watch = LossWatch(store, settings, "gateway-1")
    task = asyncio.create_task(watch.run())
    await until(lambda: bool(store.values))
    assert not watch.is_recent(60.0)
    store.values.clear()
    await until(lambda: watch.is_recent(60.0))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return store, watch


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


async def test_a_loss_is_noticed_and_nothing_else_happens() -> None:
    store, watch = await lost(Settings(redis_loss_check_s=0.01))
    assert (store.pings, store.read_only, watch.is_recent(0.0)) == (0, False, False)


async def test_a_loss_brings_pings_or_the_end_of_writing_where_settings_say_so() -> None:
    store, _ = await lost(Settings(redis_loss_check_s=0.01, redis_loss_pings=7, redis_refills_after_loss=False))
    await store.put("key", b"value", ttl_s=1)
    assert (store.pings, store.values) == (7, {})


def order(settings: Settings) -> Callable[[], list[str]]:
    """The names of the servers that one read of a cluster of three living replicas would try, read after read."""
    replicas = [Server(f"replica-{number}", "postgresql://", 1.0, settings, Metrics()) for number in range(3)]
    cluster = Cluster(Server("primary", "postgresql://", 1.0, settings, Metrics()), replicas, settings, Metrics())
    for replica in replicas:
        replica.alive = True
    return lambda: [server.name for server in cluster.order()]


def test_reads_take_turns_and_end_at_the_primary() -> None:
    read = order(Settings())
    assert {read()[0] for _ in range(3)} == {"replica-0", "replica-1", "replica-2"}
    assert read()[-1] == "primary"


def test_pinned_reads_know_one_replica_only() -> None:
    read = order(Settings(replica_pinned=True, replica_failover=False))
    assert [read() for _ in range(3)] == [["replica-2"]] * 3


def vectors(settings: Settings, clock: Callable[[], float], monkeypatch: pytest.MonkeyPatch) -> Vectors:
    monkeypatch.setattr("time.monotonic", clock)
    return Vectors("http://127.0.0.1:1", settings, Metrics())


def test_a_relapse_begins_after_the_loss_is_over_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    qdrant = vectors(Settings(qdrant_relapse_every=3), lambda: now[0], monkeypatch)
    assert not any(qdrant.relapses() for _ in range(9))
    qdrant.guard.breaker.trip()
    now[0] += 10.0
    permit = qdrant.guard.acquire()
    assert permit is not None
    qdrant.guard.record(permit, ok=True)
    assert qdrant.guard.breaker.state is State.CLOSED
    assert not any(qdrant.relapses() for _ in range(9))
    now[0] += 12.0
    assert [qdrant.relapses() for _ in range(6)] == [False, False, True, False, False, True]


def test_a_platform_as_it_should_be_never_relapses(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    qdrant = vectors(Settings(), lambda: now[0], monkeypatch)
    qdrant.guard.breaker.trip()
    qdrant.guard.breaker.restore(State.CLOSED, failure_count=0, opened_at_s=1000.0)
    now[0] += 3600.0
    assert not any(qdrant.relapses() for _ in range(100))


def test_candidates_of_an_old_snapshot_say_their_age(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 100_000.0)
    assert last_known([("content-00001", 0.5)], age_s=90_000) == b'{"at":10000.0,"scored":[["content-00001",0.5]]}'
