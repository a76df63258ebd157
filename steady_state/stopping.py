"""When a run must end early: the platform, or what sees it, is beyond a limit for too long. Pure; fed line by line as they are recorded."""

from __future__ import annotations

from collections.abc import Hashable

from pydantic import Field

from steady_state.judged_plan import Part
from steady_state.latency import quantile
from steady_state.load_plan import LoadPlan
from steady_state.merging import Together
from steady_state.observations import BeatLine, LoadPlanLine, Observation, PodsLine, ReplicationLine, TallyLine
from steady_state.outcomes import FAILED, SERVED, Outcome

P95 = 0.95


class StopLimits(Part):
    """Abort limits of an experiment. What is left out never ends a run."""

    error_ratio: float | None = Field(default=None, gt=0, le=1, description="failed / counted of all requests of a second")
    p95_factor: float | None = Field(default=None, gt=1, description="p95 of a route in a second, as a multiple of the route's maximum")
    ready_pods: int | None = Field(default=None, ge=1, description="fewer ready pods of a workload that is watched")
    standbys: int | None = Field(default=None, ge=1, description="fewer standbys that stream from the primary")
    for_s: float = Field(default=10.0, ge=1, description="so many seconds in a row must break a limit that has no time of its own")
    downtime_s: float | None = Field(default=None, ge=1, description="a route that answers nothing for so long")
    blind_s: float | None = Field(default=None, ge=3, description="a sampler that sees nothing of one of its subjects for so long")


class StopWatch:
    """Counts seconds in a row beyond each limit. `source` is the load by which the platform is told."""

    def __init__(self, limits: StopLimits, source: str) -> None:
        self._limits = limits
        self._source = source
        self._plan: LoadPlan | None = None
        self._together = Together(1)
        self._rows: dict[Hashable, int] = {}
        self._ready: dict[str, int] = {}
        self._streaming: dict[str, int] = {}

    def see(self, line: Observation) -> str:
        """The reason to end the run after this line; empty while there is none."""
        match line:
            case LoadPlanLine() if line.plan.source == self._source:
                self._plan, self._together = line.plan, Together(line.plan.workers)
            case TallyLine() if line.source == self._source:
                second = self._together.add(line)
                return "" if second is None else self._of_second(second)
            case PodsLine():
                self._ready[line.workload] = sum(pod.ready for pod in line.pods)
            case ReplicationLine():
                self._streaming["the primary"] = sum(replica.state == "streaming" for replica in line.replicas)
            case BeatLine():
                return self._of_beat(line)
        return ""

    def _of_second(self, line: TallyLine) -> str:
        reasons = [self._of_errors(line), *(self._of_route(line, route) for route in line.routes)]
        return next(filter(None, reasons), "")

    def _of_errors(self, line: TallyLine) -> str:
        limit = self._limits.error_ratio
        if limit is None:
            return ""
        counts = [tally.counts for tally in line.routes.values()]
        failed = sum(_of(one, FAILED) for one in counts)
        counted = failed + sum(_of(one, SERVED) for one in counts)
        row = self._in_a_row("errors", bool(counted) and failed / counted > limit)
        return f"more than {limit:.0%} of the requests failed in each of {row} s" if row >= self._limits.for_s else ""

    def _of_route(self, line: TallyLine, route: str) -> str:
        limits, tally = self._limits, line.routes[route]
        down = self._in_a_row(("down", route), tally.due > 0 and _of(tally.counts, SERVED) == 0)
        if limits.downtime_s is not None and down >= limits.downtime_s:
            return f"{route} answered nothing for {down} s"
        if limits.p95_factor is None or self._plan is None:
            return ""
        limit_ms = limits.p95_factor * self._plan.routes[route].maximum_ms
        slow = self._in_a_row(("slow", route), (quantile(tally.latency, P95) or 0) / 1000 > limit_ms)
        return f"p95 of {route} was above {limit_ms:g} ms in each of {slow} s" if slow >= limits.for_s else ""

    def _of_beat(self, line: BeatLine) -> str:
        for subject, looks in line.seen.items():
            row = self._in_a_row(("blind", line.probe, subject), looks == 0)
            if self._limits.blind_s is not None and row >= self._limits.blind_s:
                return f"{line.probe} saw nothing of {subject} for {row} s"
        # What was seen last says nothing of a second in which nothing was seen: the row neither grows nor ends.
        if not all(line.seen.values()):
            return ""
        match line.probe:
            case "pods":
                return self._of_few("ready pods", self._ready, self._limits.ready_pods)
            case "replication":
                return self._of_few("streaming standbys", self._streaming, self._limits.standbys)
        return ""

    def _of_few(self, what: str, counts: dict[str, int], least: int | None) -> str:
        if least is None:
            return ""
        for subject, count in counts.items():
            row = self._in_a_row((what, subject), count < least)
            if row >= self._limits.for_s:
                return f"{subject} had fewer than {least} {what} in each of {row} s"
        return ""

    def _in_a_row(self, what: Hashable, broken: bool) -> int:
        """Seconds in a row, this one included."""
        row = self._rows[what] = self._rows.get(what, 0) + 1 if broken else 0
        return row


def _of(counts: dict[Outcome, int], kinds: frozenset[Outcome]) -> int:
    return sum(count for outcome, count in counts.items() if outcome in kinds)
