"""All workers of a load in pods: found, told when to start and stop, asked each second. Their lines go into the recording."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from pydantic import ValidationError

from orchestrator.errors import TargetError
from orchestrator.load import wire
from orchestrator.load.kept_lines import AT_ONCE
from orchestrator.load.worker import Live, LoadWorkerError, live_of
from orchestrator.load_job.followed import SILENT_S, Followed, GeneratorLost, Trip
from orchestrator.targets.load_jobs import LoadPod
from probes.clients.kube import Answer
from probes.clients.unreachable import Unreachable
from probes.clock import Clock
from steady_state.instants import Instant
from steady_state.load_plan import LoadPlan
from steady_state.merging import Together
from steady_state.observations import OBSERVATION, LoadEndLine, LoadPlanLine, Observation, TallyLine

POLL_S = 1.0
COME_UP_S = 60.0
"""An image has to be there and a pod to start; on the test cluster that takes 3 s."""
TRIPS = 5
"""Each worker's clock is told by the quickest of so many."""
STOP_LEAD_S = 2 * POLL_S
"""Every worker is asked at least once before the instant on which all of them stop."""
_LOOK_S = 0.25
_GONE = 404


@dataclass(frozen=True, slots=True)
class Ways:
    """How a pod is asked (raises Unreachable), and how the pods are found (raises TargetError)."""

    ask: Callable[[str, wire.Question], Awaitable[Answer]]
    look: Callable[[], Awaitable[list[LoadPod]]]


class Crowd:
    """`live` is for the progress display. The run owns the order: `gather`, `start`, `wait` all along, `stop` or `let_go`."""

    def __init__(self, plan: LoadPlan, ways: Ways, record: Callable[[Observation], None], clock: Clock) -> None:
        self._source = plan.source
        self._timeout_s = plan.timeout_ms / 1000
        self._count = plan.workers
        self._ways = ways
        self._record = record
        self._clock = clock
        self._together = Together(plan.workers)
        self._planned = False
        self._ends: dict[int, Instant] = {}
        self._start_s: Instant | None = None
        self._stop_s: Instant | None = None
        self._following: list[asyncio.Task[None]] = []
        self.workers: dict[int, Followed] = {}
        self.live = Live()

    async def gather(self) -> None:
        """Return when every worker answers and its clock is known. Raises LoadWorkerError."""
        deadline, trouble = self._clock.now() + COME_UP_S, ""
        while self._clock.now() < deadline:
            trouble = await self._meet()
            await asyncio.gather(*(self._measured(worker) for worker in self.workers.values()))
            if len(self.workers) == self._count and all(worker.trips >= TRIPS for worker in self.workers.values()):
                return
            await self._clock.sleep_until(self._clock.now() + _LOOK_S)
        absent = "its pods are not there; the namespace's events say why (a quota, its pod security)"
        trouble = trouble or next((f"{one.who}: {one.trouble}" for one in self.workers.values() if one.trouble), absent)
        raise LoadWorkerError(f"the load was not up within {COME_UP_S:g} s: {trouble}")

    async def start(self, start_s: Instant) -> None:
        """The first arrival is due then or a little later; return when all workers know. Raises LoadWorkerError."""
        self._start_s = start_s
        for worker in self.workers.values():
            worker.settle_clock()
        self._following = [asyncio.create_task(self._follow(worker)) for worker in self.workers.values()]
        while any(worker.state == "waiting" for worker in self.workers.values()):
            # One that is lost ends its task with the reason.
            done = [task for task in self._following if task.done()]
            await asyncio.gather(*done)
            await self._clock.sleep_until(self._clock.now() + _LOOK_S)

    async def wait(self) -> None:
        """Return when every worker has told its end. Raises GeneratorLost when one of them is lost."""
        await asyncio.gather(*self._following)

    async def stop(self, instant: Instant) -> None:
        """Nothing is due from about the instant on, the same for all workers; return when the last outcome is recorded.

        Raises LoadWorkerError.
        """
        self._stop_s = max(instant, self._clock.now() + STOP_LEAD_S)
        left_s = self._stop_s - self._clock.now() + self._timeout_s + SILENT_S
        try:
            await asyncio.wait_for(asyncio.shield(self.wait()), left_s)
        except TimeoutError:
            await self.let_go()
            late = ", ".join(worker.who for number, worker in self.workers.items() if number not in self._ends)
            raise LoadWorkerError(f"{late} did not end within {left_s:.0f} s") from None
        self._record(LoadEndLine(t=self._clock.now(), source=self._source, end_s=min(self._ends.values())))

    async def let_go(self) -> None:
        """Ask nobody any more."""
        for task in self._following:
            task.cancel()
        await asyncio.gather(*self._following, return_exceptions=True)

    # Inside

    async def _meet(self) -> str:
        """Know the workers of the pods that are there; what keeps one from running, in words.

        Raises LoadWorkerError for one that has ended.
        """
        try:
            pods = await self._ways.look()
        except TargetError as error:
            return str(error)
        for pod in pods:
            if pod.over:
                raise LoadWorkerError(f"load worker {pod.index} (pod {pod.name}) ended: {pod.trouble or 'nothing says why'}")
            self.workers.setdefault(pod.index, Followed(pod.index, pod.name, self._clock.now()))
        return next((f"pod {pod.name}: {pod.trouble}" for pod in pods if pod.trouble), "")

    async def _measured(self, worker: Followed) -> None:
        try:
            await self._ask(worker)
        except Unreachable as error:
            worker.trouble = str(error)

    async def _follow(self, worker: Followed) -> None:
        next_s = self._clock.now()
        while worker.number not in self._ends:
            lines = 0
            try:
                lines = await self._ask(worker)
            except Unreachable as error:
                worker.silent(self._clock.now(), str(error))
                await self._look_after(worker)
            if lines < AT_ONCE:
                next_s = max(next_s + POLL_S, self._clock.now())
                await self._clock.sleep_until(next_s)

    async def _look_after(self, worker: Followed) -> None:
        """Raises GeneratorLost where its pod has ended. An API server that does not say is no news of the pod."""
        try:
            pods = await self._ways.look()
        except TargetError:
            return
        pod = next((one for one in pods if one.name == worker.pod), None)
        if pod is None:
            raise GeneratorLost(worker.who, "is gone")
        if pod.over:
            raise GeneratorLost(worker.who, f"ended: {pod.trouble or 'nothing says why'}")

    async def _ask(self, worker: Followed) -> int:
        """Ask once and record what is new; how many lines that was. Raises Unreachable or GeneratorLost."""
        ahead_s = worker.ahead_s
        question = wire.Question(
            first=worker.cursor,
            start_s=None if ahead_s is None else self._start_s,
            ahead_s=ahead_s,
            stop_s=self._stop_s,
        )
        sent_s = self._clock.now()
        answer = await self._ways.ask(worker.pod, question)
        received_s = self._clock.now()
        if answer.status == wire.GONE_ON:
            raise GeneratorLost(worker.who, f"began anew: {answer.body.decode(errors='replace').strip()}")
        if answer.status == _GONE:
            raise GeneratorLost(worker.who, "is gone")
        if answer.status != 200:
            raise Unreachable(worker.who, f"{answer.status} {answer.body[:200].decode(errors='replace').strip()}", status=answer.status)
        try:
            report, lines = wire.read(answer.body)
            observed = [OBSERVATION.validate_json(line) for line in lines]
        except (ValueError, ValidationError) as error:
            raise Unreachable(worker.who, f"told something else than lines: {str(error)[:200]}") from error
        worker.take(report, len(lines), Trip(sent_s, report.now_s, received_s))
        for line in observed:
            self._take(worker, line)
        return len(lines)

    def _take(self, worker: Followed, line: Observation) -> None:
        match line:
            case LoadPlanLine() if self._planned:
                return
            case LoadPlanLine():
                self._planned = True
            case LoadEndLine():
                self._ends[worker.number] = line.end_s
                return
            case TallyLine():
                whole = self._together.add(line)
                if whole is not None and whole.second > self.live.second:
                    self.live = live_of(whole)
        self._record(line)
