"""The calls probe: tries at each dependency and fallback activations, as each pod counts them."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator, Mapping
from typing import Any

from probes.clients.kube import KubeReader
from probes.clients.pods import Pod
from probes.clients.prometheus import samples, totals
from probes.clients.unreachable import Unreachable
from probes.clock import Clock
from probes.per_pod import PerPod
from probes.pod_view import PodView
from probes.sampler import Record, Sightings, ticks, until_stopped
from probes.target import MetricSource, TargetDescription
from steady_state.instants import Instant
from steady_state.observations import CallsLine

PERIOD_S = 1.0
TIMEOUT_S = 0.9
_FAILED = {"outcome": "error"}

Pages = Mapping[tuple[str, str], str]
"""The text of each page of one pod, by (port, path)."""


class CallsProbe:
    """Records one line a second for each pod that counts its tries or fallbacks."""

    name = "calls"

    def __init__(self, *, clock: Clock, description: TargetDescription, kube: KubeReader, view: PodView) -> None:
        self._clock = clock
        self._kube = kube
        self._view = view
        self._calls = description.calls
        self._fallbacks = description.fallbacks

    async def run(self, record: Record, stop: asyncio.Event) -> None:
        self._record = record
        self._sightings = Sightings(self.name, period_s=PERIOD_S, clock=self._clock, record=record)
        workloads = {source.workload for source in (*self._calls, *self._fallbacks)}
        pods = PerPod(self._view, workloads, start=self._workers, ready=self._on_ready, away=self._on_away)
        await until_stopped(stop, self._sightings.beat(), pods.run(self._clock.now))

    def _workers(self, workload: str, pod: Pod) -> Iterator[Coroutine[Any, Any, None]]:
        yield self._sample(workload, pod)

    def _on_ready(self, _workload: str, pod: Pod, t: Instant) -> None:
        self._sightings.expect(pod.name, since=t)

    def _on_away(self, _workload: str, pod: Pod, t: Instant) -> None:
        self._sightings.away(pod.name, t)

    async def _sample(self, workload: str, pod: Pod) -> None:
        calls = [source for source in self._calls if source.workload == workload]
        fallbacks = [source for source in self._fallbacks if source.workload == workload]
        async for _ in ticks(self._clock, PERIOD_S):
            try:
                pages = await self._pages(pod, {(source.port, source.path) for source in (*calls, *fallbacks)})
                line = self._line(pod, calls, fallbacks, pages)
            except (Unreachable, ValueError) as error:
                self._sightings.missed(pod.name, str(error))
                continue
            self._record(line)
            self._sightings.seen(pod.name, line.t)

    async def _pages(self, pod: Pod, wanted: set[tuple[str, str]]) -> Pages:
        return {(port, path): await self._page(pod, port, path) for port, path in sorted(wanted)}

    async def _page(self, pod: Pod, port: str, path: str) -> str:
        answer = await self._kube.pod_get(pod.name, pod.port(port), path, timeout_s=TIMEOUT_S)
        if answer.status != 200:
            raise Unreachable(f"{path} of pod {pod.name}", f"answered {answer.status}", status=answer.status)
        return answer.body.decode("utf-8", "replace")

    def _line(self, pod: Pod, calls: list[MetricSource], fallbacks: list[MetricSource], pages: Pages) -> CallsLine:
        return CallsLine(
            t=self._clock.now(),
            pod=pod.name,
            calls=_sum(calls, pages, "dependency", {}),
            errors=_sum(calls, pages, "dependency", _FAILED),
            fallbacks=_sum(fallbacks, pages, "kind", {}),
        )


def _sum(sources: list[MetricSource], pages: Pages, by: str, also: Mapping[str, str]) -> dict[str, int]:
    """Counters of all sources, summed by the label."""
    sums: dict[str, int] = {}
    for source in sources:
        found = samples(pages[source.port, source.path], source.metric, {**source.labels, **also})
        for key, value in totals(found, by).items():
            sums[key] = sums.get(key, 0) + value
    return sums
