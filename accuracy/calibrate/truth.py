"""The truth about rates: what the target did to each numbered request, counted without the judge's help.

Outages and transitions are true by the script. A rate also depends on requests that were in flight when the script changed
something; each of them counts as what the target did to it, so a rate has one exact value.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

from accuracy.calibrate.ledger import Ledger
from accuracy.calibrate.timetable import FAILING
from steady_state.instants import HAIR_S, Instant, Span
from steady_state.load_plan import LoadPlan

WORST_S = 10.0
"""Source: design 6, `error_rate_during`, "the worst 10 s window"."""


@dataclass(frozen=True, slots=True)
class Counted:
    """Due instants of all the load's requests on one route, of those that the target failed, and of its stale answers; sorted."""

    due: list[Instant]
    failed: list[Instant]
    stale: list[Instant]

    def failed_ratio(self, span: Span) -> float:
        return _ratio(_inside(self.failed, span), _inside(self.due, span))

    def stale_ratio(self, span: Span) -> float:
        return _ratio(_inside(self.stale, span), _inside(self.due, span))

    def worst_ratio(self, starts: Span) -> float:
        """The largest failed share of 10 s that begin in [start, end]: at a failure, or as early or as late as they may."""
        begins = [starts.start, starts.end, *(due - HAIR_S for due in self.failed if starts.start <= due <= starts.end)]
        return max(self.failed_ratio(Span(begin, begin + WORST_S)) for begin in begins)


def count(plan: LoadPlan, route: str, until: Instant, ledger: Ledger) -> Counted:
    """Every request of the route that is due before the instant, and what the target wrote down about it."""
    due: list[Instant] = []
    while (instant := plan.due(route, len(due))) < until:
        due.append(instant)
    failed, stale = ledger.numbers(route, FAILING), ledger.numbers(route, {"stale"})
    return Counted(due, [due[n] for n in sorted(failed) if n < len(due)], [due[n] for n in sorted(stale) if n < len(due)])


def _inside(instants: list[Instant], span: Span) -> int:
    return bisect_left(instants, span.end) - bisect_left(instants, span.start)


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
