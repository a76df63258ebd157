"""The breakers probe: the state of every breaker, by every source that the description names; which one is believed is not its affair."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from probes.breaker_log import PodLog
from probes.breaker_state import BreakerState, Unreadable, breaker_state, parsed, state_in_copy
from probes.breaker_tracks import COPY, BreakerTracks
from probes.clients.http import HttpClient
from probes.clients.kube import KubeReader
from probes.clients.pods import Pod
from probes.clients.redis_reader import RedisReader
from probes.clients.unreachable import Unreachable
from probes.clock import Clock
from probes.per_pod import PerPod
from probes.pod_view import PodView
from probes.sampler import Record, Sightings, ticks, until_stopped
from probes.target import BreakerSource, CopySource, HealthSource, LogSource, MetricStateSource, TargetDescription
from steady_state.instants import Instant

PERIOD_S = 0.2
"""Source: design 5, "at least 5 Hz"."""
TIMEOUT_S = 0.7
"""One lost answer must not be a gap: there is time for another try before the silence has lasted 1 s."""

OnPage = HealthSource | MetricStateSource
Work = Coroutine[Any, Any, None]


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where pods are seen."""

    kube: KubeReader
    view: PodView


@dataclass(frozen=True, slots=True)
class BreakerReaders:
    """Whom the probe asks: the cluster, where there is one; pages and stores by their URL."""

    cluster: Cluster | None = None
    pages: Mapping[str, HttpClient] = field(default_factory=dict)
    stores: Mapping[str, RedisReader] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Page:
    """One document of one replica, and the breakers that are read from it."""

    replica: str
    sources: list[OnPage]
    fetch: Callable[[], Awaitable[bytes]]


class BreakersProbe:
    """Records a breaker's state at first sight and at each change, for each replica and source."""

    name = "breakers"

    def __init__(self, *, clock: Clock, description: TargetDescription, readers: BreakerReaders, period_s: float = PERIOD_S) -> None:
        self._clock = clock
        self._readers = readers
        self._period_s = period_s
        self._sources = description.breakers

    async def run(self, record: Record, stop: asyncio.Event) -> None:
        sightings = Sightings(self.name, period_s=self._period_s, clock=self._clock, record=record)
        self._tracks = BreakerTracks(record, sightings)
        await until_stopped(stop, sightings.beat(), *self._pods(), *self._addressed(), *self._copies())

    # Replicas that are pods

    def _pods(self) -> Iterator[Work]:
        if self._readers.cluster is not None:
            workloads = {source.workload for source in self._sources if not isinstance(source, CopySource) and source.workload}
            pods = PerPod(self._readers.cluster.view, workloads, start=self._workers, ready=self._on_ready, away=self._on_away)
            yield pods.run(self._clock.now)

    def _of(self, workload: str) -> list[OnPage | LogSource]:
        return [source for source in self._sources if not isinstance(source, CopySource) and source.workload == workload]

    def _workers(self, workload: str, pod: Pod) -> Iterator[Work]:
        assert self._readers.cluster is not None
        kube, sources = self._readers.cluster.kube, self._of(workload)
        for source in sources:
            self._tracks.begin(source, pod.name)
        for (port, path, _), on_page in _by_page(sources).items():
            yield self._sample(_Page(pod.name, on_page, partial(_of_pod, kube, pod, port, path)))
        if logs := [source for source in sources if isinstance(source, LogSource)]:
            yield PodLog(pod.name, logs, kube=kube, clock=self._clock, tracks=self._tracks).run()

    def _on_ready(self, workload: str, pod: Pod, t: Instant) -> None:
        for source in self._of(workload):
            self._tracks.expect(source, pod.name, t)

    def _on_away(self, workload: str, pod: Pod, t: Instant) -> None:
        for source in self._of(workload):
            self._tracks.away(source, pod.name, t)

    # Replicas that are known by their URL, and copies

    def _addressed(self) -> Iterator[Work]:
        addressed = [source for source in self._sources if isinstance(source, HealthSource | MetricStateSource) and source.url]
        for source in addressed:
            self._tracks.expect(source, source.replica, self._clock.now())
        for (url, replica, _), sources in _by_page(addressed).items():
            yield self._sample(_Page(replica, sources, partial(_of_url, self._readers.pages[url])))

    def _copies(self) -> Iterator[Work]:
        for source in self._sources:
            if isinstance(source, CopySource):
                self._tracks.expect(source, COPY, self._clock.now())
                yield self._sample_copy(source, self._readers.stores[source.url])

    async def _sample(self, page: _Page) -> None:
        async for _ in ticks(self._clock, self._period_s):
            sent = self._clock.now()
            try:
                document = parsed(page.sources[0].kind, await page.fetch())
            except (Unreachable, Unreadable) as error:
                for source in page.sources:
                    self._tracks.missed(source, page.replica, str(error))
                continue
            for source in page.sources:
                self._read(source, page.replica, partial(breaker_state, source, document), sent)

    async def _sample_copy(self, source: CopySource, store: RedisReader) -> None:
        async for _ in ticks(self._clock, self._period_s):
            sent = self._clock.now()
            try:
                value = await store.get(source.key)
            except Unreachable as error:
                self._tracks.missed(source, COPY, str(error))
            else:
                self._read(source, COPY, partial(state_in_copy, source, value), sent)

    def _read(self, source: BreakerSource, replica: str, reading: Callable[[], BreakerState], sent: Instant) -> None:
        try:
            found = reading()
        except Unreadable as error:
            self._tracks.missed(source, replica, str(error))
        else:
            self._tracks.saw(source, replica, found, t=self._clock.now(), since=sent)


def _by_page(sources: Iterable[BreakerSource]) -> dict[tuple[str, str, str], list[OnPage]]:
    """One fetch serves all breakers of the same page."""
    pages: dict[tuple[str, str, str], list[OnPage]] = {}
    for source in sources:
        if isinstance(source, HealthSource | MetricStateSource):
            pages.setdefault((source.url or source.port, source.replica or source.path, source.kind), []).append(source)
    return pages


async def _of_pod(kube: KubeReader, pod: Pod, port: str, path: str) -> bytes:
    return (await kube.pod_get(pod.name, pod.port(port), path, timeout_s=TIMEOUT_S)).body


async def _of_url(client: HttpClient) -> bytes:
    return (await client.request("GET", "", timeout_s=TIMEOUT_S)).body
