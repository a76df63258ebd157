"""`recovery_time`: steady again within two minutes of the end of the fault, without any act but taking it away.

Source: spec 3.5, "Automatic recovery within 2 minutes per failure"; the definition is design 6 and ADR 0006.
"""

from __future__ import annotations

from steady_state.blindness import clock_gaps, platform_gaps
from steady_state.criteria.validity import spoilers
from steady_state.instants import Instant, Span
from steady_state.verdict import Finding, Verdict, inconclusive
from steady_state.windows import Relapse, Window, relapse


def judge(window: Window) -> Finding:
    """R - H against the limit; a clock that could not run out is INCONCLUSIVE."""
    history, recovery = window.history, window.recovery
    limit = history.limits.recovery_s
    where = history.window(window.span)
    if window.fault.healed is None:
        return inconclusive("the fault was never taken away, so recovery has no beginning", window=where)
    causes = f" ({'; '.join(recovery.causes[:3])})" if recovery.causes else ""
    seconds = round(max(0.0, (recovery.until if recovery.recovered is None else recovery.recovered) - window.fault.healed), 3)
    if seconds > limit and _ran_out(window):
        words = "not recovered after" if recovery.recovered is None else "recovered only after"
        return _late(window, Finding(Verdict.FAIL, f"{words} {seconds:.1f} s{causes}", seconds, limit, "s", window=where))
    if recovery.recovered is None:
        return inconclusive(f"not recovered after {seconds:.1f} of {limit:g} s{causes}", window=where)
    blind = _blind(window, recovery.recovered)
    if blind:
        return inconclusive(f"not seen throughout: {blind[0]}", window=where)
    unjudged = f"; too few requests to judge the latency of {', '.join(recovery.latency_undecided)}" if recovery.latency_undecided else ""
    words = f"steady {seconds:.1f} s after the fault ended{causes}{unjudged}"
    again = relapse(window)
    return Finding(Verdict.PASS, words, seconds, limit, "s", window=where) if again is None else _relapsed(window, words, again)


def _relapsed(window: Window, words: str, again: Relapse) -> Finding:
    """Steady once is not recovered: the clock counts to the end of what came back."""
    assert window.fault.healed is not None
    limit, where = window.history.limits.recovery_s, window.history.window(window.span)
    start, end = (instant - window.fault.healed for instant in (again.span.start, again.span.end))
    words += f"; broken again from {start:.1f} to {end:.1f} s ({'; '.join(again.causes[:3])})"
    blind = clock_gaps(window.history, again.span) + platform_gaps(window.history, again.span)
    if blind:
        return inconclusive(f"not seen throughout: {blind[0]} (measured: {words})", window=where)
    if end <= limit and again.unfinished:
        return inconclusive(words, window=where)
    verdict = Verdict.FAIL if end > limit else Verdict.PASS
    return Finding(verdict, words, round(end, 3), limit, "s", window=where)


def longer_than(window: Window) -> float | None:
    """Seconds that recovery took at least, where its end was not seen although nothing else kept us from seeing it."""
    healed, recovery = window.fault.healed, window.recovery
    if healed is None or recovery.recovered is not None or window.contaminated_by or spoilers(window.history, window.fault):
        return None
    seen = Span(window.base, recovery.until)
    blind = clock_gaps(window.history, seen) + platform_gaps(window.history, seen)
    return None if blind else round(max(0.0, recovery.until - healed), 3)


def _ran_out(window: Window) -> bool:
    """Whether the clock passed the limit for sure: R was seen, the violation never broke, or no stretch before it was settled."""
    if window.recovery.recovered is not None or window.recovery.carried:
        return True
    limits = window.history.limits
    return bool(window.history.clocked()) and window.end - limits.settled_s >= window.base + limits.recovery_s


def _late(window: Window, failed: Finding) -> Finding:
    """A shortage that nobody looked at again may have ended long ago; failing requests speak for themselves.

    Where nothing is named, requests that were not counted may be why no stretch was settled.
    """
    requests = {f"{route} {how}" for route in window.history.plan.routes for how in ("failing", "slow")}
    if requests & set(window.recovery.causes):
        return failed
    until = min(window.recovery.until, window.base + window.history.limits.recovery_s)
    look = platform_gaps if window.recovery.causes else clock_gaps
    blind = look(window.history, Span(window.base, until))
    return inconclusive(f"not seen throughout: {blind[0]} (measured: {failed.because})", window=failed.window) if blind else failed


def _blind(window: Window, recovered: Instant) -> list[str]:
    """Gaps from I to R and on through the settled stretch: they decide when the stretch began."""
    history = window.history
    steady = max(window.base, recovered)
    span = Span(window.injected, max(steady, min(window.end, steady + history.limits.settled_s)))
    return clock_gaps(history, span) + platform_gaps(history, span)
