"""`error_rate_during`: the worst ten seconds while the fault lasts.

Source: spec 3.5, "Error rate <5% during failures"; the worst window is design 6 and ADR 0007.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain

from steady_state.blindness import load_gaps
from steady_state.history import History
from steady_state.instants import HAIR_S, Instant, Span
from steady_state.rates import Rate, burst_refusals, rate, wilson
from steady_state.traffic import count_in
from steady_state.verdict import Finding, Verdict, inconclusive
from steady_state.windows import Window


def judge(window: Window) -> Finding:
    """Failed share of the worst 10 s that start in [I, max(H, R)]."""
    history, limits = window.history, window.history.limits
    last_start = min(window.end, window.settled if window.settled is not None else window.end)
    worst = _worst(history, Span(window.injected, last_start), window.end)
    whole = rate(history, Span(window.injected, max(last_start, min(window.end, window.injected + limits.worst_window_s))))
    judged = Span(window.injected, min(window.end, last_start + limits.worst_window_s))
    where = history.window(worst.span)
    blind = load_gaps(history, judged)
    reason = blind[0] if blind else burst_refusals(history, judged, limits.worst_window_s)
    if reason is None and worst.counted < limits.samples_during:
        reason = f"{worst.counted} requests, {limits.samples_during} would suffice"
    if reason:
        return inconclusive(reason, window=where)
    low, high = wilson(worst.failed, worst.counted)
    because = (
        f"{worst.failed} of {worst.counted} requests failed in the worst {worst.span.length_s:.0f} s "
        f"({worst.failed_ratio:.2%}, resolution {low:.2%} to {high:.2%}); whole stretch {whole.failed} of {whole.counted}"
    )
    verdict = Verdict.FAIL if _broken(history, worst) else Verdict.PASS
    return Finding(verdict, because, round(worst.failed_ratio, 6), limits.error_ratio_during, "ratio", worst.counted, where)


def _broken(history: History, measured: Rate) -> bool:
    limits = history.limits
    enough = measured.failed >= 2 and measured.counted >= limits.samples_during
    return enough and measured.failed_ratio >= limits.error_ratio_during


def _worst(history: History, starts: Span, end: Instant) -> Rate:
    """The 10 s with the largest failed share.

    The worst 10 s start at a failure, or as early or as late as they may; or, where some requests do not count, they
    start or end with one of those.
    """
    length = history.limits.worst_window_s
    candidates = {starts.start, starts.end}
    for route in history.load():
        candidates |= {due - HAIR_S for due in route.failed}
        candidates |= {due + shift for due in route.excluded for shift in (-HAIR_S, HAIR_S - length)}
    spans = {_fitted(start, length, starts.start, end) for start in candidates if starts.start <= start <= starts.end}
    return _largest(history, spans, Span(starts.start, min(end, starts.end + length)))


def _largest(history: History, spans: Iterable[Span], whole: Span) -> Rate:
    """The span with the largest failed share.

    Spans are tried in the order of their failures, until no other can have a larger share, or until one breaks the limit:
    a platform that fails all the time has a hundred thousand spans that are as bad as each other.
    """
    load = history.load()
    failed = sorted(chain.from_iterable(route.failed for route in load))
    ordered = sorted(((-count_in(failed, span), span.start, span) for span in spans), key=lambda one: one[:2])
    excluded = sum(count_in(route.excluded, whole) for route in load)
    least = min(sum(route.due(span) for route in load) for span in (ordered[0][2], ordered[-1][2])) - 2 * len(load) - excluded
    worst = rate(history, ordered[0][2])
    for failures, _, span in ordered[1:]:
        if _broken(history, worst) or (least > 0 and -failures / least < worst.failed_ratio):
            break
        worst = max(worst, rate(history, span), key=lambda one: (one.failed_ratio, one.counted))
    return worst


def _fitted(start: Instant, length: float, earliest: Instant, end: Instant) -> Span:
    """[start, start + length), moved back so far that it does not reach into the next fault's window."""
    moved = max(earliest, min(start, end - length))
    return Span(moved, min(end, moved + length))
