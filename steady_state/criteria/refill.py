"""`refill`: how long after a flush the cache serves as it did before.

Source: ours, design 6; spec 3.5 asks for the "cache miss rate after Redis flush". The definition is ADR 0013.
"""

from __future__ import annotations

from steady_state.blindness import probe_gaps
from steady_state.cache_rates import HitRate, hit_rate, hit_rates
from steady_state.instants import Instant, Span
from steady_state.verdict import Finding, Verdict, inconclusive
from steady_state.windows import Window

PROBE = "cache"
STRETCH_S = 10.0
"""The rate before the flush and after it are taken over this long: at 2 lookups a request, some 2,000 on the sandbox."""
READINGS_S = 2.0
"""Readings come once a second, a little early or late: so much later every stretch that begins within the limit has been read."""


def judge(window: Window) -> Finding:
    """Seconds from I to the first ten seconds whose hit rate is `refill_ratio` of what it was."""
    history, limits = window.history, window.history.limits
    where = history.window(window.span)
    before = hit_rate(history, Span(window.injected - STRETCH_S, window.injected))
    if before is None:
        return inconclusive("the cache's counters were not read before the flush", window=where)
    if before.lookups < limits.refill_lookups or before.hits == 0:
        needed = f"{limits.refill_lookups} lookups with hits among them would suffice"
        return inconclusive(f"{before.hits} hits of {before.lookups} lookups in the 10 s before the flush; {needed}", window=where)
    until = min(_horizon(window), window.injected + limits.refill_s + STRETCH_S + READINGS_S)
    rates = [one for one in hit_rates(history, Span(window.injected, until), STRETCH_S) if one.lookups >= limits.refill_lookups]
    wanted = limits.refill_ratio * before.ratio
    refilled = next((one for one in rates if one.ratio >= wanted), None)
    return _judged(window, before, rates, refilled, until)


def _judged(window: Window, before: HitRate, rates: list[HitRate], refilled: HitRate | None, until: Instant) -> Finding:
    history, limits = window.history, window.history.limits
    where = history.window(window.span)
    gaps = probe_gaps(history, Span(window.injected - STRETCH_S, until if refilled is None else refilled.span.end), PROBE)
    if gaps:
        return inconclusive(f"not seen throughout: {gaps[0]}", window=where)
    first = f"{rates[0].ratio:.1%} in the first {STRETCH_S:g} s" if rates else "unknown"
    words = f"hit rate {before.ratio:.1%} before, {first} after the flush"
    if refilled is not None:
        seconds = round(refilled.span.start - window.injected, 1)
        verdict = Verdict.PASS if seconds <= limits.refill_s else Verdict.FAIL
        return Finding(
            verdict, f"{words}, {refilled.ratio:.1%} from {seconds:.1f} s on", seconds, limits.refill_s, "s", refilled.lookups, where
        )
    seen = round(min(rates[-1].span.start - window.injected, limits.refill_s), 1) if rates else 0.0
    best = f", at best {max(one.ratio for one in rates):.1%}" if rates else ""
    if until < window.injected + limits.refill_s + STRETCH_S + READINGS_S or seen < limits.refill_s - READINGS_S:
        return inconclusive(f"not refilled after {seen:.1f} of {limits.refill_s:g} s: {words}{best}", window=where)
    return Finding(
        Verdict.FAIL,
        f"not refilled after {limits.refill_s:g} s: {words}{best}",
        limits.refill_s,
        limits.refill_s,
        "s",
        rates[-1].lookups,
        where,
    )


def _horizon(window: Window) -> Instant:
    """Other faults do not empty the cache, so the clock runs on across them; the next flush ends it."""
    history = window.history
    later = [
        one.attempted
        for one in history.faults
        if one.fault.kind == window.fault.fault.kind and one.attempted is not None and one.attempted > window.injected
    ]
    return min([history.end, *later])
