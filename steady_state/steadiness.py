"""Steadiness before the method: why a stretch is not steady, as sentences. Empty means steady."""

from __future__ import annotations

from steady_state.blindness import traffic_gaps
from steady_state.downtime import downtimes
from steady_state.history import History
from steady_state.instants import Span
from steady_state.rates import rate_of
from steady_state.settling import first_settled
from steady_state.traffic import count_in

RATE_LIMITED_RATIO = 0.001
"""More 429 than this before the method means that the load does not fit the platform's limits. Source: design 6."""


def unsteady(history: History, span: Span) -> list[str]:
    """Reasons against starting, from what was seen in the span: traffic, latency, replicas, breakers, downtime."""
    reasons = traffic_gaps(history, span)
    if not any(route.due(span) for route in history.clocked()):
        return [*reasons, "no request was due"]
    reasons += _rates(history, span)
    reasons += [f"{one.route} was down for {one.span.length_s:.1f} s" for one in downtimes(history, span)]
    reasons += _replicas(history, span) + _breakers(history, span) + _latency(history, span)
    if not reasons and first_settled(history, span) is None:
        reasons.append("the stretch did not settle")
    return reasons


def _rates(history: History, span: Span) -> list[str]:
    measured = rate_of(history.clocked(), span)
    reasons: list[str] = []
    if measured.rate_limited > RATE_LIMITED_RATIO * measured.due:
        reasons.append(f"{measured.rate_limited} of {measured.due} requests were rate limited (429)")
    if measured.client_errors > history.limits.client_error_ratio * measured.due:
        reasons.append(f"{measured.client_errors} of {measured.due} requests got a 4xx")
    if measured.failed_ratio >= history.limits.error_ratio_after:
        reasons.append(f"{measured.failed} of {measured.counted} requests failed")
    return reasons


def _replicas(history: History, span: Span) -> list[str]:
    reasons: list[str] = []
    for workload in history.plan.workloads:
        lines = [line for line in history.recording.pods if line.workload == workload and line.t <= span.end]
        if not lines:
            reasons.append(f"no pod of {workload} was seen")
        elif lines[-1].t > span.start or not lines[-1].pods or not all(pod.ready for pod in lines[-1].pods):
            waiting = [pod.name for pod in lines[-1].pods if not pod.ready]
            reasons.append(f"{workload} is not ready ({', '.join(waiting) or 'its pods only just changed'})")
    return reasons


def _breakers(history: History, span: Span) -> list[str]:
    seen = {track.breaker for track in history.breakers}
    unread = [f"breaker {one.name} cannot be read" for one in history.plan.breakers if one.name not in seen]
    opened = [
        f"breaker {track.breaker} is {state} on {track.replica}"
        for track in history.breakers
        if (state := track.states.at(span.end)) not in (None, "closed")
    ]
    return unread + opened


def _latency(history: History, span: Span) -> list[str]:
    reasons: list[str] = []
    for route in history.clocked():
        slow, counted = count_in(route.slow, span), route.counted(span)
        if counted and slow > history.limits.slow_ratio * counted:
            maximum = route.plan.routes[route.route].maximum_ms
            reasons.append(f"{slow} of {counted} answers of {route.route} took longer than {maximum:g} ms")
    return reasons
