"""The judge: every criterion on every fault, cells of spoiled windows set aside, one verdict."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace

from steady_state.criteria import (
    amplification,
    breakers,
    degradation,
    delivery,
    error_rate_after,
    error_rate_during,
    recovery_time,
    refill,
    state_kept,
    validity,
    zero_downtime,
)
from steady_state.fault_history import FaultHistory
from steady_state.history import History
from steady_state.instants import Span
from steady_state.starvation import starved
from steady_state.verdict import Finding, Verdict, inconclusive, worst
from steady_state.windows import Window, windows

BASELINE = "baseline"

CRITERIA: dict[str, Callable[[Window], Finding]] = {
    "zero_downtime": zero_downtime.judge,
    "recovery_time": recovery_time.judge,
    "breakers": breakers.judge,
    "degradation": degradation.judge,
    "error_rate_during": error_rate_during.judge,
    "error_rate_after": error_rate_after.judge,
    "delivery": delivery.judge,
    "refill": refill.judge,
    "amplification": amplification.judge,
    "state_kept": state_kept.judge,
    "validity": validity.judge,
}
"""One line a criterion: its name and its function."""

BASELINE_CRITERIA: dict[str, Callable[[History, Span], Finding]] = {
    "zero_downtime": zero_downtime.judge_span,
    "error_rate_after": error_rate_after.judge_baseline,
    "breakers": breakers.judge_closed,
}
"""Row `baseline`; `error_rate_after` is the same question there: below 0.5 % without a fault."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One criterion on one fault. A cell that does not apply has no finding, only the reason."""

    fault: str
    criterion: str
    finding: Finding | None
    not_applicable: str = ""


@dataclass(frozen=True, slots=True)
class Judgement:
    """All cells, the windows they were judged on, and the verdict of the run."""

    history: History
    windows: list[Window]
    cells: list[Cell]
    verdict: Verdict


def judge(history: History) -> Judgement:
    """Judge a whole run. A run without minute 0, or with no fault in its plan, proves nothing: INCONCLUSIVE."""
    try:
        found = windows(history)
    except Exception as error:  # noqa: BLE001 - the named edge: without windows every cell says why, and the report is still written
        return _unjudged(history, _crashed(error))
    judged = {window.name: window for window in found}
    cells = _baseline(history)
    for fault in history.faults:
        cells += [_cell(history, fault, judged.get(fault.name), criterion) for criterion in CRITERIA]
    verdicts = [cell.finding.verdict for cell in cells if cell.finding is not None]
    end = history.recording.end
    if not history.faults or history.recording.lost or end is None or end.ended != "completed":
        verdicts.append(Verdict.INCONCLUSIVE)
    return Judgement(history, found, cells, worst(verdicts))


def _unjudged(history: History, finding: Finding) -> Judgement:
    """The windows themselves could not be found: nothing can be judged."""
    cells = [Cell(BASELINE, criterion, finding) for criterion in BASELINE_CRITERIA]
    cells += [Cell(fault.name, criterion, finding) for fault in history.faults for criterion in CRITERIA]
    return Judgement(history, [], cells, Verdict.INCONCLUSIVE)


def _baseline(history: History) -> list[Cell]:
    span = history.baseline
    cells: list[Cell] = []
    for criterion, function in BASELINE_CRITERIA.items():
        if not history.started or span.length_s == 0:
            finding = inconclusive("the timeline never began")
        else:
            finding = _guarded(lambda function=function: function(history, span))  # type: ignore[misc]
            finding = _unproven(history, span, _excused(history, span, finding))
        cells.append(Cell(BASELINE, criterion, finding))
    return cells


def _cell(history: History, fault: FaultHistory, window: Window | None, criterion: str) -> Cell:
    reason = fault.fault.not_applicable.get(criterion)
    if reason:
        return Cell(fault.name, criterion, None, reason)
    spoiled = validity.spoilers(history, fault)
    if window is None:
        return Cell(fault.name, criterion, inconclusive("; ".join(spoiled) or "injected only after the end of the timeline"))
    finding = _guarded(lambda: CRITERIA[criterion](window))
    return Cell(fault.name, criterion, _set_aside(window, criterion, finding, spoiled))


def _set_aside(window: Window, criterion: str, finding: Finding, spoiled: list[str]) -> Finding:
    """A finding that cannot be believed becomes INCONCLUSIVE and keeps its numbers; a run cut short or with lost lines proves no PASS."""
    if criterion == "validity":
        return _unproven(window.history, window.span, finding)
    if spoiled:
        reason = "; ".join(spoiled)
    elif window.contaminated_by:
        reason = f"contaminated by {window.contaminated_by}, which had not recovered"
    elif criterion == "error_rate_after" and window.recovery.carried:
        reason = "the fault had not recovered when the next one began"
    else:
        return _unproven(window.history, window.charged, _excused(window.history, window.span, finding))
    return _with_reason(finding, reason)


def _excused(history: History, span: Span, finding: Finding) -> Finding:
    """A failure that a starved machine may have made is no FAIL. A PASS on such a machine is one."""
    reason = starved(history, span) if finding.verdict is Verdict.FAIL else ""
    return _with_reason(finding, reason) if reason else finding


def _unproven(history: History, span: Span, finding: Finding) -> Finding:
    """What was seen of this stretch is not all of it: no PASS."""
    if finding.verdict is not Verdict.PASS:
        return finding
    if history.cut_short and span.end >= history.end:
        return _with_reason(finding, f"the run ended {span.length_s:.1f} s into this window")
    lost_from = history.recording.lost_from
    if lost_from is not None and lost_from < span.end:
        return _with_reason(finding, f"lines of the recording are lost ({history.recording.lost[0]})")
    return finding


def _with_reason(finding: Finding, reason: str) -> Finding:
    return replace(finding, verdict=Verdict.INCONCLUSIVE, because=f"{reason} (measured: {finding.because})")


def _guarded(function: Callable[[], Finding]) -> Finding:
    """A criterion that crashes is INCONCLUSIVE with its traceback kept; it must never look like a pass."""
    try:
        return function()
    except Exception as error:  # noqa: BLE001 - the named edge: one broken criterion must not hide the others
        return _crashed(error)


def _crashed(error: Exception) -> Finding:
    """The traceback without folders: the same recording gives the same report on every machine."""
    frames = traceback.extract_tb(error.__traceback__)
    trace = tuple(f"{frame.filename.rpartition('steady_state')[2]}:{frame.lineno} in {frame.name}: {frame.line}" for frame in frames)
    words = f"the criterion crashed: {type(error).__name__}: {error}"
    return replace(inconclusive(words), evidence=trace)
