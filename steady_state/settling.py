"""The settled stretch: the first seconds after a fault's end in which everything is as it should be (design 6)."""

from __future__ import annotations

from bisect import bisect_left

from steady_state.history import History
from steady_state.instants import Instant, Span
from steady_state.traffic import RouteTraffic, count_in
from steady_state.violations import Violation, breaker_violations, replica_violations


def first_settled(history: History, span: Span) -> Span | None:
    """The earliest stretch of `settled_s` inside the span with error rate, latency, replicas and breakers as they should be.

    Conditions get better only where a failed or slow request, or a shortage, is left behind: only those starts are tried.
    """
    length = history.limits.settled_s
    shortages = [violation.span for violation in _shortages(history, span)]
    for start in _starts(history, span, shortages):
        stretch = Span(start, start + length)
        if stretch.end > span.end + 1e-6:
            return None
        if not any(_touches(short, stretch) for short in shortages) and _calm(history, stretch, span.end):
            return stretch
    return None


def _shortages(history: History, span: Span) -> list[Violation]:
    return replica_violations(history, span) + breaker_violations(history, span)


def _touches(short: Span, stretch: Span) -> bool:
    return short.overlaps(stretch) or (short.length_s == 0 and stretch.contains(short.start))


def _starts(history: History, span: Span, shortages: list[Span]) -> list[Instant]:
    """Candidate starts in order: the span's own, the end of each shortage, and just after each failed or slow request."""
    starts = {span.start} | {short.end for short in shortages if short.end > span.start}
    for route in history.load():
        for column in (route.failed, route.slow):
            starts |= {due + 1e-6 for due in column[bisect_left(column, span.start) : bisect_left(column, span.end)]}
    return sorted(starts)


def _calm(history: History, stretch: Span, limit: Instant) -> bool:
    """Error rate below its limit over all routes, and no route above its p95 limit."""
    routes = history.load()
    failed = sum(route.failures(stretch) for route in routes)
    counted = sum(route.counted(stretch) for route in routes)
    if counted == 0 or failed / counted >= history.limits.error_ratio_after:
        return False
    return all(_latency_holds(history, route, stretch, limit) for route in routes)


def _latency_holds(history: History, route: RouteTraffic, stretch: Span, limit: Instant) -> bool:
    """p95 within the route's maximum: at most 5 % of its requests above it. Too few samples decide nothing."""
    limits = history.limits
    if route.counted(stretch) < limits.settled_samples:
        stretch = Span(stretch.start, min(stretch.start + limits.settled_grown_s, limit))
    counted = route.counted(stretch)
    if counted < limits.settled_samples:
        return True
    return count_in(route.slow, stretch) <= limits.slow_ratio * counted
