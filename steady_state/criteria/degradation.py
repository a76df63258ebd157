"""`degradation`: answers go on, degraded where that is declared, while the fault lasts.

Source: spec 3.5, "Graceful degradation to cached data"; shares and stretch are design 6 and ADR 0008.
"""

from __future__ import annotations

from steady_state.answers import answers
from steady_state.blindness import load_gaps
from steady_state.history import History
from steady_state.instants import Span
from steady_state.outcomes import Outcome
from steady_state.rates import Rate, rate, refusals
from steady_state.verdict import Finding, Verdict, inconclusive
from steady_state.windows import Window


def judge(window: Window) -> Finding:
    """Served shares on affected and on other routes over [I, max(H, R, I + 20 s))."""
    history, limits = window.history, window.history.limits
    span = _stretch(window)
    where = history.window(span)
    affected = [route for route in window.fault.fault.affected_routes if route in history.plan.routes]
    others = [route.route for route in history.load() if route.route not in affected]
    hit = rate(history, span, affected)
    spared = rate(history, _grown(window, span, others), others) if others else None
    split = answers(history, span, affected)
    words = _words(hit, spared, split) + _worst_route(history, span, affected)
    reason = _undecided(window, hit, spared)
    if reason:
        return inconclusive(f"{reason}; {words}", window=where)
    verdict = Verdict.FAIL if _broken(window, hit, spared, split) else Verdict.PASS
    return Finding(verdict, words, round(hit.served_ratio, 6), limits.served_ratio_affected, "ratio", hit.counted, where)


def _stretch(window: Window) -> Span:
    least = window.injected + window.history.limits.degradation_min_s
    until = max(window.settled if window.settled is not None else window.end, least)
    return Span(window.injected, min(until, window.end))


def _grown(window: Window, span: Span, others: list[str]) -> Span:
    """The other routes' stretch, grown second by second to the next I until it holds enough requests."""
    end = span.end
    while end < window.end and rate(window.history, Span(span.start, end), others).counted < window.history.limits.samples_after:
        end = min(window.end, end + 1.0)
    return Span(span.start, end)


def _undecided(window: Window, hit: Rate, spared: Rate | None) -> str | None:
    history, limits = window.history, window.history.limits
    blind = load_gaps(history, hit.span if spared is None else spared.span)
    if blind:
        return blind[0]
    for measured in (hit, spared):
        if measured is not None and (refused := refusals(history, measured)):
            return refused
    if hit.counted < limits.samples_during:
        return f"{hit.counted} requests on affected routes, {limits.samples_during} would suffice"
    if spared is not None and spared.counted < limits.samples_after:
        return f"{spared.counted} requests on other routes, {limits.samples_after} would suffice"
    return None


def _broken(window: Window, hit: Rate, spared: Rate | None, split: dict[Outcome, int]) -> bool:
    limits = window.history.limits
    if hit.failed >= 2 and hit.served_ratio < limits.served_ratio_affected:
        return True
    if spared is not None and spared.failed >= 2 and spared.served_ratio < limits.served_ratio_others:
        return True
    if window.fault.fault.fallback_expected and not split.get(Outcome.FALLBACK, 0):
        return True
    return hit.stale + (spared.stale if spared else 0) > 0


def _worst_route(history: History, span: Span, routes: list[str]) -> str:
    """The routes are judged together (ADR 8); one that alone would not have done is named."""
    limits = history.limits
    each = {route: one for route in routes if (one := rate(history, span, [route])).counted >= limits.samples_during}
    worst = min(each, key=lambda route: each[route].served_ratio, default=None)
    if worst is None or each[worst].served_ratio >= limits.served_ratio_affected:
        return ""
    return f"; of {worst} alone {each[worst].served_ratio:.2%} of {each[worst].counted}"


def _words(hit: Rate, spared: Rate | None, split: dict[Outcome, int]) -> str:
    made = ", ".join(
        f"{outcome.value} {split.get(outcome, 0)}" for outcome in (Outcome.FRESH, Outcome.CACHED, Outcome.FALLBACK, Outcome.STALE)
    )
    others = f"others {spared.served_ratio:.2%} of {spared.counted}" if spared is not None else "no other route"
    return f"served {hit.served_ratio:.2%} of {hit.counted} on affected routes ({made}); {others}"
