"""The pods probe: a watch tells of each change as it arrives, a list once a second proves that the watch is alive."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from probes.clients.kube import KubeReader
from probes.clients.kube_watch import Expired, Watch
from probes.clients.unreachable import Unreachable
from probes.clock import Clock
from probes.pod_view import PodView
from probes.sampler import Record, Sightings, ticks, until_stopped
from probes.target import TargetDescription
from steady_state.instants import Instant
from steady_state.observations import NoteLine, PodsLine, PodState

LIST_PERIOD_S = 1.0
RETRY_S = 0.2


class PodsProbe:
    """Records the pods of every workload of the description at first sight and after each change."""

    name = "pods"

    def __init__(self, *, clock: Clock, description: TargetDescription, kube: KubeReader) -> None:
        self.view = PodView()
        """The current picture, for probes that look into pods."""
        self._clock = clock
        self._kube = kube
        self._resources = description.workloads
        self._watch: Watch | None = None
        self._told_at: Instant = clock.now()
        self._behind_since: Instant | None = None
        self._listed = asyncio.Event()
        self._listing = asyncio.Lock()

    async def run(self, record: Record, stop: asyncio.Event) -> None:
        self._record = record
        self._sightings = Sightings(self.name, period_s=LIST_PERIOD_S, clock=self._clock, record=record)
        for workload in self._resources:
            self._sightings.expect(workload)
        await until_stopped(stop, self._sightings.beat(), self._list_for_ever(), self._watch_for_ever())

    async def _list_for_ever(self) -> None:
        async for _ in ticks(self._clock, LIST_PERIOD_S):
            newly_known = await self._read_selectors()
            changed = await self._list()
            self._judge_watch(changed and not newly_known)

    async def _read_selectors(self) -> bool:
        """Read those that are not known yet; whether one became known."""
        before = self.view.workloads
        await asyncio.gather(*(self._read_selector(workload) for workload in self._resources if workload not in before))
        return self.view.workloads != before

    async def _read_selector(self, workload: str) -> None:
        try:
            found = await self._kube.workload(self._resources[workload], workload)
        except Unreachable as error:
            self._sightings.missed(workload, str(error))
        else:
            self.view.select(workload, found.selector)

    async def _list(self) -> bool:
        """One list; whether it told of something that the watch had not told."""
        async with self._listing:
            try:
                listed = await self._kube.pods()
            except Unreachable as error:
                for workload in self._resources:
                    self._sightings.missed(workload, str(error))
                return False
            t = self._clock.now()
            first = not self._listed.is_set()
            changed = self._write(self.view.apply_list(listed, t), t)
            for workload in self.view.workloads:
                self._sightings.seen(workload, t)
            self._listed.set()
            return changed and not first

    def _judge_watch(self, changed: bool) -> None:
        # A watch can die without a word. A list that knew more is normal for an instant, not for a whole period.
        silent_since = self._behind_since
        self._behind_since = self._clock.now() if changed else None
        if silent_since is None or self._told_at >= silent_since or self._watch is None:
            return
        self._record(NoteLine(t=self._clock.now(), text="the watch of pods had died: a list told of a change first; watching again"))
        self._watch.close()

    async def _watch_for_ever(self) -> None:
        await self._listed.wait()
        while True:
            try:
                await self._follow()
            except Expired:
                await self._list()
            except Unreachable as error:
                for workload in self._resources:
                    self._sightings.missed(workload, str(error))
            await self._clock.sleep_until(self._clock.now() + RETRY_S)

    async def _follow(self) -> None:
        async with self._kube.watch_pods(self.view.version) as watch:
            self._watch, self._told_at = watch, self._clock.now()
            async for event in watch:
                self._told_at = event.t
                changed = self.view.apply_event(event)
                self._write(changed, event.t)
                for workload in changed:
                    self._sightings.seen(workload, event.t)

    def _write(self, workloads: Iterable[str], t: Instant) -> bool:
        """Record the pods of the workloads that changed; whether there were any."""
        changed = list(workloads)
        for workload in changed:
            states = [PodState(name=pod.name, ready=pod.ready, restarts=pod.restarts, ip=pod.ip) for pod in self.view.pods(workload)]
            self._record(PodsLine(t=t, workload=workload, pods=states))
        return bool(changed)
