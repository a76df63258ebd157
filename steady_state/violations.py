"""Violations: the instants and stretches at which the steady state was broken (design 6)."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from steady_state.instants import HAIR_S, Instant, Span
from steady_state.judged_plan import Limits
from steady_state.traffic import RouteTraffic, count_in

if TYPE_CHECKING:
    from steady_state.history import History

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


def broken_seconds(load: list[RouteTraffic], limits: Limits) -> dict[str, list[Violation]]:
    """Route -> its failed and slow requests whose last second broke the same limit, as points at their due instants.

    The error rate of the last second is that of all the load's routes.
    """
    found: dict[str, list[Violation]] = {}
    for route in load:
        failed = set(route.failed)
        points = [Violation(Span(due, due), f"{route.route} failing") for due in route.failed if _errors_break(load, limits, due)]
        points += [
            Violation(Span(due, due), f"{route.route} {'failing' if due in failed else 'slow'}")
            for due in route.slow
            if _slowness_breaks(route, limits, due)
        ]
        found[route.route] = sorted(points, key=lambda violation: violation.span.start)
    return found


def request_violations(history: History, span: Span, routes: Iterable[str] | None = None) -> list[Violation]:
    """Violations by requests of the load that are due in the span, on the named routes (default: all)."""
    chosen = history.broken_requests if routes is None else [route for route in history.broken_requests if route in set(routes)]
    return [violation for route in chosen for violation in _inside(history.broken_requests[route], span)]


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


def _last_second(due: Instant) -> Span:
    """The second up to and with the request that is due at the instant."""
    return Span(due - LAST_SECOND_S + HAIR_S, due + HAIR_S)


def _errors_break(load: list[RouteTraffic], limits: Limits, due: Instant) -> bool:
    second = _last_second(due)
    failed = sum(route.failures(second) for route in load)
    if failed < AT_LEAST:
        return False
    # Most rows need no exact count: no second holds more requests than this.
    most = sum(route.plan.routes[route.route].rate_per_s + 1 for route in load)
    if failed >= limits.error_ratio_after * most:
        return True
    counted = sum(route.counted(second) for route in load)
    return counted > 0 and failed / counted >= limits.error_ratio_after


def _slowness_breaks(route: RouteTraffic, limits: Limits, due: Instant) -> bool:
    second = _last_second(due)
    slow = count_in(route.slow, second)
    most = route.plan.routes[route.route].rate_per_s + 1
    return slow >= AT_LEAST and (slow > limits.slow_ratio * most or slow > limits.slow_ratio * route.counted(second))


def _inside(violations: list[Violation], span: Span) -> list[Violation]:
    def start(violation: Violation) -> Instant:
        return violation.span.start

    return violations[bisect_left(violations, span.start, key=start) : bisect_left(violations, span.end, key=start)]
