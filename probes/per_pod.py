"""One worker for each pod of some workloads, from the moment it has an address until it is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import Any

from probes.clients.pods import Pod
from probes.pod_view import PodView
from steady_state.instants import Instant

Start = Callable[[str, Pod], Iterable[Coroutine[Any, Any, None]]]
"""Makes the workers of one pod of a workload."""
Turn = Callable[[str, Pod, Instant], None]
"""Called when a pod turned ready (or not ready, or vanished)."""


@dataclass(slots=True)
class _Worked:
    pod: Pod
    tasks: list[asyncio.Task[None]]


class PerPod:
    """Follows the pods view and starts and ends workers; says synchronously who became ready and who is away."""

    def __init__(self, view: PodView, workloads: Iterable[str], *, start: Start, ready: Turn, away: Turn) -> None:
        self._view = view
        self._workloads = frozenset(workloads)
        self._start = start
        self._ready = ready
        self._away = away
        self._worked: dict[str, dict[str, _Worked]] = {workload: {} for workload in self._workloads}

    async def run(self, now: Callable[[], Instant]) -> None:
        """Work until cancelled; a worker that raises ends all."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            unsubscribe = self._view.subscribe(self._follow)
            try:
                for workload in sorted(self._workloads):
                    self._follow(workload, now())
                await asyncio.get_running_loop().create_future()
            finally:
                unsubscribe()

    def _follow(self, workload: str, t: Instant) -> None:
        if workload not in self._workloads:
            return
        worked = self._worked[workload]
        there = {pod.uid: pod for pod in self._view.pods(workload) if pod.ip}
        for uid in worked.keys() - there.keys():
            self._end(workload, worked.pop(uid), t)
        for uid, pod in there.items():
            if uid not in worked:
                tasks = [self._group.create_task(worker) for worker in self._start(workload, pod)]
                worked[uid] = _Worked(pod, tasks)
                self._turn(workload, pod, before=False, t=t)
            else:
                before, worked[uid].pod = worked[uid].pod.ready, pod
                self._turn(workload, pod, before=before, t=t)

    def _turn(self, workload: str, pod: Pod, *, before: bool, t: Instant) -> None:
        if pod.ready and not before:
            self._ready(workload, pod, t)
        elif before and not pod.ready:
            self._away(workload, pod, t)

    def _end(self, workload: str, gone: _Worked, t: Instant) -> None:
        for task in gone.tasks:
            task.cancel()
        if gone.pod.ready:
            self._away(workload, gone.pod, t)
