"""Violations: the instants and stretches at which the steady state was broken (design 6)."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass

from steady_state.history import History
from steady_state.instants import Instant, Span
from steady_state.traffic import RouteTraffic, count_in

RUN_GAP_S = 1.0
"""Violations less than this apart belong to one run. Source: design 6, `recovery_time`."""
LAST_SECOND_S = 1.0
AT_LEAST = 2
"""Fewer failed (or slow) requests than this in the last second break no limit."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A stretch of broken steady state: a point for a request, a span for replicas and breakers. `what` names the cause."""

    span: Span
    what: str


def request_violations(history: History, span: Span, routes: Iterable[str] | None = None) -> list[Violation]:
    """Failed and slow requests of the load whose last second broke the same limit, as points at their due instants.

    The error rate of the last second is that of all the load's routes; `routes` selects whose requests are returned.
    """
    everything = history.load()
    chosen = history.load(routes)
    found = [
        Violation(Span(due, due), f"{route.route} failing")
        for route in chosen
        for due in _inside(route.failed, span)
        if _errors_break(history, everything, due)
    ]
    found += [
        Violation(Span(due, due), f"{route.route} slow")
        for route in chosen
        for due in _inside(route.slow, span)
        if _slowness_breaks(history, route, due)
    ]
    return sorted(found, key=lambda violation: violation.span.start)


def replica_violations(history: History, span: Span, workloads: Iterable[str] | None = None) -> list[Violation]:
    """Stretches with fewer ready replicas than at the baseline."""
    chosen = history.ready if workloads is None else {name: history.ready[name] for name in workloads if name in history.ready}
    return [
        Violation(short.clipped(span), f"{name}: fewer than {ready.desired} ready")
        for name, ready in chosen.items()
        for short in ready.short(history.recording.last_t)
        if short.overlaps(span)
    ]


def breaker_violations(history: History, span: Span, breakers: Iterable[str] | None = None) -> list[Violation]:
    """Stretches in which a breaker was not closed."""
    names = None if breakers is None else set(breakers)
    return [
        Violation(out.clipped(span), f"{track.breaker} not closed on {track.replica}")
        for track in history.breakers
        if names is None or track.breaker in names
        for out in track.states.where(lambda state: state != "closed", end=history.recording.last_t)
        if out.overlaps(span)
    ]


def runs(violations: Iterable[Violation]) -> list[Span]:
    """Violations less than RUN_GAP_S apart, joined."""
    joined: list[Span] = []
    for violation in sorted(violations, key=lambda one: one.span.start):
        if joined and violation.span.start - joined[-1].end < RUN_GAP_S:
            joined[-1] = Span(joined[-1].start, max(joined[-1].end, violation.span.end))
        else:
            joined.append(violation.span)
    return joined


def _errors_break(history: History, everything: list[RouteTraffic], due: Instant) -> bool:
    second = Span(due - LAST_SECOND_S, due + 1e-9)
    failed = sum(route.failures(second) for route in everything)
    counted = sum(route.counted(second) for route in everything)
    return failed >= AT_LEAST and counted > 0 and failed / counted >= history.limits.error_ratio_after


def _slowness_breaks(history: History, route: RouteTraffic, due: Instant) -> bool:
    second = Span(due - LAST_SECOND_S, due + 1e-9)
    slow = count_in(route.slow, second)
    counted = route.counted(second)
    return slow >= AT_LEAST and counted > 0 and slow / counted > history.limits.slow_ratio


def _inside(instants: list[Instant], span: Span) -> list[Instant]:
    return instants[bisect_left(instants, span.start) : bisect_left(instants, span.end)]
