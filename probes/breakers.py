"""The breakers probe: the state of every breaker in every replica, read from the replica itself through the API server."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any

from probes.breaker_state import BreakerState, Unreadable, breaker_state, parsed
from probes.clients.kube import KubeReader
from probes.clients.pods import Pod
from probes.clients.unreachable import Unreachable
from probes.clock import Clock
from probes.per_pod import PerPod
from probes.pod_view import PodView
from probes.sampler import Record, Sightings, ticks, until_stopped
from probes.target import BreakerSource, TargetDescription
from steady_state.instants import Instant
from steady_state.observations import BreakerLine

PERIOD_S = 0.2
"""Source: design 5, "at least 5 Hz"."""
TIMEOUT_S = 0.7
"""One lost answer must not be a gap: there is time for another try before the silence has lasted 1 s."""


def breaker_subject(breaker: str, replica: str) -> str:
    """The name of one breaker in one replica in beats and gaps."""
    return f"{breaker}/{replica}"


@dataclass(slots=True)
class _Page:
    """One document of one pod, and the breakers that are read from it."""

    pod: Pod
    sources: list[BreakerSource]
    known: dict[str, tuple[BreakerState, Instant]] = field(default_factory=dict)


class BreakersProbe:
    """Records a breaker's state at first sight and at each change of the state or of the source's own counter."""

    name = "breakers"

    def __init__(
        self, *, clock: Clock, description: TargetDescription, kube: KubeReader, view: PodView, period_s: float = PERIOD_S
    ) -> None:
        self._clock = clock
        self._kube = kube
        self._view = view
        self._period_s = period_s
        self._sources = description.breakers

    async def run(self, record: Record, stop: asyncio.Event) -> None:
        self._record = record
        self._sightings = Sightings(self.name, period_s=self._period_s, clock=self._clock, record=record)
        workloads = {source.workload for source in self._sources}
        pods = PerPod(self._view, workloads, start=self._workers, ready=self._on_ready, away=self._on_away)
        await until_stopped(stop, self._sightings.beat(), pods.run(self._clock.now))

    def _of(self, workload: str) -> list[BreakerSource]:
        return [source for source in self._sources if source.workload == workload]

    def _workers(self, workload: str, pod: Pod) -> Iterator[Coroutine[Any, Any, None]]:
        # One fetch serves all breakers of the same page.
        pages: dict[tuple[str, str, str], _Page] = {}
        for source in self._of(workload):
            pages.setdefault((source.port, source.path, source.kind), _Page(pod, [])).sources.append(source)
        return (self._sample(page) for page in pages.values())

    def _on_ready(self, workload: str, pod: Pod, t: Instant) -> None:
        for source in self._of(workload):
            self._sightings.expect(breaker_subject(source.name, pod.name), since=t)

    def _on_away(self, workload: str, pod: Pod, t: Instant) -> None:
        for source in self._of(workload):
            self._sightings.away(breaker_subject(source.name, pod.name), t)

    async def _sample(self, page: _Page) -> None:
        async for _ in ticks(self._clock, self._period_s):
            sent = self._clock.now()
            first = page.sources[0]
            try:
                answer = await self._kube.pod_get(page.pod.name, page.pod.port(first.port), first.path, timeout_s=TIMEOUT_S)
                document = parsed(first.kind, answer.body)
            except (Unreachable, Unreadable) as error:
                self._missed(page, page.sources, str(error))
                continue
            for source in page.sources:
                self._read(page, source, document, sent)

    def _read(self, page: _Page, source: BreakerSource, document: object, sent: Instant) -> None:
        try:
            found = breaker_state(source, document)
        except Unreadable as error:
            self._missed(page, [source], str(error))
            return
        t = self._clock.now()
        state, previous_t = page.known.get(source.name, (None, None))
        if state != found:
            self._write(page, source.name, found, t, previous_t)
        # A state was so at some instant after its request was sent: a change that a later sample shows lies after that.
        page.known[source.name] = (found, sent)
        self._sightings.seen(breaker_subject(source.name, page.pod.name), t)

    def _write(self, page: _Page, breaker: str, found: BreakerState, t: Instant, previous_t: Instant | None) -> None:
        self._record(
            BreakerLine(
                t=t, breaker=breaker, replica=page.pod.name, state=found.state, previous_t=previous_t, transitions=found.transitions
            )
        )

    def _missed(self, page: _Page, sources: list[BreakerSource], reason: str) -> None:
        for source in sources:
            self._sightings.missed(breaker_subject(source.name, page.pod.name), reason)
