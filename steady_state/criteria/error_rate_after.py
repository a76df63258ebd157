"""`error_rate_after`: from recovery to the next fault.

Source: spec 3.5, "Error rate ... <0.5% after recovery".
"""

from __future__ import annotations

from steady_state.blindness import load_gaps
from steady_state.history import History
from steady_state.instants import Span
from steady_state.rates import burst_refusals, rate, wilson
from steady_state.verdict import Finding, Verdict, inconclusive
from steady_state.windows import Window


def judge(window: Window) -> Finding:
    """Failed share over [max(H, R), next I)."""
    where = window.history.window(window.span)
    if window.settled is None or window.settled >= window.end:
        return inconclusive("the window never settled, so there is no stretch after recovery", window=where)
    return judge_span(window.history, Span(window.settled, window.end))


def judge_baseline(history: History, span: Span) -> Finding:
    """The same question before any fault, where a share of 4xx means that the load does not fit the platform."""
    measured, limit = rate(history, span), history.limits.client_error_ratio
    if measured.due and measured.client_errors / measured.due > limit:
        reason = f"{measured.client_errors} of {measured.due} requests got a 4xx, more than {limit:.1%}"
        return inconclusive(reason, window=history.window(span))
    return judge_span(history, span)


def judge_span(history: History, span: Span) -> Finding:
    """As `judge`, for any stretch."""
    limits = history.limits
    where = history.window(span)
    measured = rate(history, span)
    blind = load_gaps(history, span)
    reason = blind[0] if blind else burst_refusals(history, span, limits.worst_window_s)
    if reason is None and measured.counted < limits.samples_after:
        reason = f"{measured.counted} requests, {limits.samples_after} would suffice"
    if reason:
        return inconclusive(reason, window=where)
    low, high = wilson(measured.failed, measured.counted)
    because = f"{measured.failed} of {measured.counted} requests failed ({measured.failed_ratio:.3%}, resolution {low:.3%} to {high:.3%})"
    broken = measured.failed >= 2 and measured.failed_ratio >= limits.error_ratio_after
    verdict = Verdict.FAIL if broken else Verdict.PASS
    return Finding(verdict, because, round(measured.failed_ratio, 6), limits.error_ratio_after, "ratio", measured.counted, where)
