"""Load workers in pods of memory: each has the real desk of a serving worker, a clock of its own, and a network that may fail."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from virtual_time import VirtualClock

from orchestrator.load import wire
from orchestrator.load.desk import Desk
from orchestrator.load.kept_lines import KeptLines
from orchestrator.targets.load_jobs import LoadPod
from probes.clients.kube import Answer
from probes.clients.unreachable import Unreachable
from steady_state.load_plan import LoadPlan
from steady_state.observations import LoadEndLine, LoadPlanLine, RouteTally, TallyLine
from steady_state.outcomes import Outcome

KEY = "hush"


@dataclass
class MemoryPod:
    """Worker `number`. Its own clock shows `ahead_s` less than the run's and gains `drift` s a second; a question takes `there_s`, its
    answer `back_s`. `mute`: answers are lost, though questions come through."""

    number: int
    plan: LoadPlan
    clock: VirtualClock
    ahead_s: float = 0.0
    drift: float = 0.0
    there_s: float = 0.002
    back_s: float = 0.002
    mute: bool = False
    over: bool = False
    trouble: str = ""
    asked: int = 0
    lines: KeptLines = field(default_factory=KeptLines)

    def __post_init__(self) -> None:
        self._born = self.clock.now()
        self.restart()

    @property
    def name(self) -> str:
        return f"load-{self.number}-abcde"

    def own_now(self) -> float:
        now = self.clock.now()
        return now - self.ahead_s + self.drift * (now - self._born)

    def restart(self) -> None:
        """All that it knew is gone."""
        self.lines = KeptLines()
        self.desk = Desk(KEY, self.lines, self.own_now)
        self.working = asyncio.create_task(self._work(self.desk))

    async def ask(self, question: wire.Question) -> Answer:
        self.asked += 1
        query = "&".join(f"{name}={value}" for name, value in question.query().items())
        await asyncio.sleep(self.there_s)
        status, body = self.desk.answer(f"{wire.PATH}?{query}", KEY)
        await asyncio.sleep(self.back_s)
        if self.mute:
            raise Unreachable(self.name, "no answer")
        return Answer(status, body)

    def shown(self) -> LoadPod:
        return LoadPod(self.name, self.number, self.over, self.trouble)

    async def _work(self, desk: Desk) -> None:
        """One request a second, served, counted by the run's clock as this worker has been told it."""
        start_s, ahead_s = await desk.begun
        stops: list[float] = []
        desk.commanded(lambda instant: stops.append(instant or 0.0))
        desk.state = "working"
        plan = self.plan.model_copy(update={"start_s": start_s})
        self.lines.add(LoadPlanLine(t=self.own_now() + ahead_s, plan=plan))
        second = 0
        while not stops or start_s + second < stops[0]:
            await self.clock.sleep_until(start_s + second + 1)
            counts = {"a": RouteTally(due=1, counts={Outcome.FRESH: 1}, latency=[(self.number, 1)])}
            t = self.own_now() + ahead_s
            self.lines.add(TallyLine(t=t, source="load", second=second, routes=counts, workers=(self.number,)))
            second += 1
        self.lines.add(LoadEndLine(t=self.own_now() + ahead_s, source="load", end_s=stops[0]))
        desk.state = "ended"
