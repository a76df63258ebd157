"""Several runs of one plan together: recovery times with an interval, and how likely a run passes.

Runs are taken as independent tries of one platform. Source: order statistics for the interval of the median, which
hold for any distribution; Clopper-Pearson for probabilities.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from steady_state.binomial import CONFIDENCE, clopper_pearson, median_rank
from steady_state.criteria.recovery_time import longer_than
from steady_state.judge import Cell, Judgement
from steady_state.judged_plan import JudgedPlan
from steady_state.verdict import Verdict, worst


class NotPoolableError(Exception):
    """These runs are not tries of the same thing; the text names the first difference."""


@dataclass(frozen=True, slots=True, order=True)
class Recovery:
    """One run's recovery time. `unseen`: it lasted longer than this, the end was not seen. Those sort last."""

    unseen: bool
    seconds: float


@dataclass(frozen=True, slots=True)
class PooledRecovery:
    """Recovery times of one fault over the runs that could tell them, in seconds."""

    fault: str
    times: tuple[Recovery, ...]
    """Sorted."""
    unjudged: int
    """Runs in which it was INCONCLUSIVE for another reason than that its end was not seen."""

    @property
    def median(self) -> Recovery | None:
        """The middle one; of an even number, the later of the two middle ones."""
        return self.times[len(self.times) // 2] if self.times else None

    @property
    def interval(self) -> tuple[Recovery, Recovery] | None:
        """Encloses the median with at least 95 % confidence; None when there are too few runs for that."""
        rank = median_rank(len(self.times))
        return None if rank is None else (self.times[rank - 1], self.times[-rank])


@dataclass(frozen=True, slots=True)
class Passes:
    """How often something passed, of the runs that could judge it."""

    passed: int
    judged: int
    inconclusive: int

    @property
    def interval(self) -> tuple[float, float]:
        """Of the probability of a pass, 95 %. (0, 1) where nothing was judged."""
        return clopper_pearson(self.passed, self.judged, CONFIDENCE)


@dataclass(frozen=True, slots=True)
class PooledCell:
    """One criterion on one fault over all runs."""

    fault: str
    criterion: str
    passes: Passes


@dataclass(frozen=True, slots=True)
class Pool:
    """All runs together. `runs` are their ids with their verdicts, in the order given."""

    title: str
    verdict: Verdict
    """The worst of all runs."""
    runs: tuple[tuple[str, Verdict], ...]
    whole: Passes
    cells: tuple[PooledCell, ...]
    recoveries: tuple[PooledRecovery, ...] = field(default=())


def pool(judgements: Sequence[Judgement]) -> Pool:
    """Raises NotPoolableError when a run is given twice, or when two runs had different plans or loads."""
    _refuse(judgements)
    plan = judgements[0].history.plan
    faults = [fault.name for fault in judgements[0].history.faults]
    return Pool(
        title=plan.title,
        verdict=worst([one.verdict for one in judgements]),
        runs=tuple((_id(one), one.verdict) for one in judgements),
        whole=_passes(one.verdict for one in judgements),
        cells=tuple(_cells(judgements)),
        recoveries=tuple(_recovery(judgements, fault) for fault in faults),
    )


def _refuse(judgements: Sequence[Judgement]) -> None:
    first = judgements[0]
    seen: set[str] = set()
    for one in judgements:
        if _id(one) in seen:
            raise NotPoolableError(f"run {_id(one)} is given twice: one run is one piece of evidence")
        seen.add(_id(one))
        difference = _difference(first, one)
        if difference:
            raise NotPoolableError(f"runs {_id(first)} and {_id(one)} cannot be pooled: {difference}")


def _difference(first: Judgement, other: Judgement) -> str:
    """The first thing in which two plans differ, in words; empty when they are the same."""
    ours, theirs = (dict(_identity(one.history.plan)) for one in (first, other))
    for what, value in ours.items():
        if value != theirs[what]:
            return _sentence(what, value, theirs[what])
    loads = [_load(one) for one in (first, other)]
    # A run that ended before its load began planned none: that is no other plan.
    if all(loads) and loads[0] != loads[1]:
        return _sentence("load (requests/s by route)", *loads)
    return ""


def _sentence(what: str, ours: object, theirs: object) -> str:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        key = next(key for key in [*ours, *theirs] if ours.get(key) != theirs.get(key))
        return f"they differ in {what}, {key}: {ours.get(key, 'absent')} against {theirs.get(key, 'absent')}"
    return f"they differ in {what}: {ours} against {theirs}"


def _identity(plan: JudgedPlan) -> Iterable[tuple[str, Any]]:
    """What makes two runs tries of the same thing, in the order in which a difference is told."""
    yield "title", plan.title
    yield "target", plan.target
    yield "time scale", plan.scale_time
    yield "load scale", plan.scale_load
    yield "load engine", plan.load_engine
    yield "length in seconds", plan.length_s
    yield "routes", plan.routes
    yield "workloads", plan.workloads
    yield "breakers", [breaker.name for breaker in plan.breakers]
    yield "sync route", plan.sync_route
    yield "queued dependencies", plan.queued
    yield "machine shared", plan.shares_our_machine
    yield "timeline", {fault.name: f"{fault.kind} of {fault.role} at {fault.at_s:g} s for {fault.hold_s:g} s" for fault in plan.faults}
    yield "criteria set", plan.criteria_set
    yield "limits", plan.limits.model_dump()
    judged = [(fault.name, fault.model_dump(exclude={"name", "at_s", "hold_s", "kind", "role"})) for fault in plan.faults]
    yield "criteria", {f"{name} {key}": value for name, values in judged for key, value in values.items()}


def _load(judgement: Judgement) -> dict[str, float]:
    plan = judgement.history.recording.load_plans.get("load")
    return {} if plan is None else {route: round(one.rate_per_s, 3) for route, one in plan.routes.items()}


def _cells(judgements: Sequence[Judgement]) -> Iterable[PooledCell]:
    """Cells that apply, in the order of the first run. A criterion has the same cells in every run of one plan."""
    for cell in judgements[0].cells:
        verdicts = [
            same.finding.verdict
            for one in judgements
            if (same := _same(one, cell.fault, cell.criterion)) is not None and same.finding is not None
        ]
        if verdicts:
            yield PooledCell(cell.fault, cell.criterion, _passes(verdicts))


def _passes(verdicts: Iterable[Verdict]) -> Passes:
    given = list(verdicts)
    unjudged = given.count(Verdict.INCONCLUSIVE)
    return Passes(given.count(Verdict.PASS), len(given) - unjudged, unjudged)


def _recovery(judgements: Sequence[Judgement], fault: str) -> PooledRecovery:
    """What a spoiled window measured is not this fault's recovery; one whose end was not seen lasted at least so long."""
    times: list[Recovery] = []
    unjudged = 0
    for one in judgements:
        cell = _same(one, fault, "recovery_time")
        if cell is None or cell.finding is None:
            continue
        window = next((window for window in one.windows if window.name == fault), None)
        least = None if window is None else longer_than(window)
        if least is not None:
            times.append(Recovery(True, least))
        elif cell.finding.verdict is Verdict.INCONCLUSIVE or cell.finding.measured is None:
            unjudged += 1
        else:
            times.append(Recovery(window is not None and window.recovery.recovered is None, cell.finding.measured))
    return PooledRecovery(fault, tuple(sorted(times)), unjudged)


def _same(judgement: Judgement, fault: str, criterion: str) -> Cell | None:
    return next((cell for cell in judgement.cells if (cell.fault, cell.criterion) == (fault, criterion)), None)


def _id(judgement: Judgement) -> str:
    return judgement.history.recording.run.run_id
