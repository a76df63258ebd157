"""One case judged alone: the product's judge on its recording, its findings beside the truth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from accuracy.calibrate.case_recording import case_recording
from accuracy.calibrate.cases import Case
from accuracy.calibrate.comparing import Quantity, Row, verdict_row
from accuracy.calibrate.ledger import Ledger
from accuracy.calibrate.truth import Counted, count
from steady_state.history import History
from steady_state.instants import Instant, Span
from steady_state.judge import Judgement, judge
from steady_state.judged_plan import Limits
from steady_state.measurements import breaker_changes
from steady_state.observations import Observation
from steady_state.rates import rate
from steady_state.verdict import Finding, Verdict
from steady_state.windows import Window

EDGE_S = 1.0
"""The target must not have been held up this near to an edge of the script."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What one run saw, and what the target knows. `minute_0` is on CLOCK_MONOTONIC."""

    lines: Sequence[Observation]
    ledger: Ledger
    minute_0: Instant
    limits: Limits


def judge_case(measured: Measured, case: Case) -> list[Row]:
    """All rows of the case. What our own machine spoiled is named in each of them."""
    judgement = judge(History(case_recording(measured.lines, case, measured.minute_0, measured.limits)))
    rows = list(_rows(measured, case, judgement))
    stalled = _stalled(measured, case)
    return [replace(row, spoiled=row.spoiled or stalled) for row in rows] if stalled else rows


def _rows(measured: Measured, case: Case, judgement: Judgement) -> Iterator[Row]:
    truth = case.truth
    for criterion, expected in truth.verdicts.items():
        finding = finding_of(judgement, case.name, criterion)
        yield verdict_row(case.name, criterion, expected, finding.verdict, finding.because)
    if "recovery_time" in truth.verdicts:
        # A recovery that ends with a breaker's closing is seen when its sampler looks.
        clock: Quantity = "transition" if truth.by_breaker else "recovery"
        yield _figure(case, "recovery", clock, truth.recovery_s, finding_of(judgement, case.name, "recovery_time"))
        yield _figure(case, "downtime", "downtime", truth.downtime_s, finding_of(judgement, case.name, "zero_downtime"))
    yield from _transitions(case, judgement)
    if case.phases:
        yield from _rates(measured, case, judgement)


def finding_of(judgement: Judgement, fault: str, criterion: str) -> Finding:
    """The finding of one cell. Raises LookupError where the judge has none."""
    for cell in judgement.cells:
        if (cell.fault, cell.criterion) == (fault, criterion) and cell.finding is not None:
            return cell.finding
    raise LookupError(f"the judge has no finding for {criterion} on {fault}")


def _figure(case: Case, what: str, quantity: Quantity, truth: float, finding: Finding) -> Row:
    spoiled = finding.because if finding.verdict is Verdict.INCONCLUSIVE else ""
    return Row(case.name, what, quantity, truth, finding.measured, finding.because, spoiled)


def _transitions(case: Case, judgement: Judgement) -> Iterator[Row]:
    """Every scripted change against the changes that the report shows, in their order."""
    history, window = judgement.history, judgement.windows[0]
    seen = [(float(change["t"]), str(change["state"])) for change in breaker_changes(history, window.span)]
    for place, (at_s, state) in enumerate(case.truth.transitions):
        found = seen[place] if place < len(seen) and seen[place][1] == state else None
        words = "" if found else f"the changes seen are {seen}"
        yield Row(case.name, f"to {state}", "transition", at_s, found[0] if found else None, words)


def _rates(measured: Measured, case: Case, judgement: Judgement) -> Iterator[Row]:
    """Shares over the stretches that the judge chose: their ends are checked by the clocks, their counts here."""
    history, window = judgement.history, judgement.windows[0]
    if window.settled is None:
        return
    counted = count(history.recording.load_plans["load"], case.route, window.end, measured.ledger)
    during = Span(window.injected, window.settled)
    after = Span(window.settled, window.end)
    shares = {
        "error_rate_during": counted.worst_ratio(during),
        "error_rate_after": counted.failed_ratio(after),
        "degradation": 1.0 - counted.failed_ratio(_served_over(history, window)),
    }
    for criterion, truth in shares.items():
        yield _figure(case, criterion, "rate", round(truth, 6), finding_of(judgement, case.name, criterion))
    yield _stale(history, case, counted, during)


def _served_over(history: History, window: Window) -> Span:
    """[I, max(H, R, I + 20 s)). Source: design 6, `degradation`."""
    assert window.settled is not None
    return Span(window.injected, min(window.end, max(window.settled, window.injected + history.limits.degradation_min_s)))


def _stale(history: History, case: Case, counted: Counted, span: Span) -> Row:
    found = rate(history, span)
    return Row(case.name, "stale answers", "rate", counted.stale_ratio(span), found.stale / found.due if found.due else 0.0)


def _stalled(measured: Measured, case: Case) -> str:
    """Why the truth itself is in doubt: the target was held up just when the script changed something."""
    for edge_s in case.edges_s:
        instant = measured.minute_0 + edge_s
        for _, length_s in measured.ledger.stalls(instant - EDGE_S, instant + EDGE_S):
            return f"the target was held up for {length_s * 1000:.0f} ms near {edge_s:.1f} s"
    return ""
