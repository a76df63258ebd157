"""`recovery_time`: steady again within two minutes of the end of the fault, without any act but taking it away.

Source: spec 3.5, "Automatic recovery within 2 minutes per failure"; the definition is design 6 and ADR 0006.
"""

from __future__ import annotations

from steady_state.blindness import load_gaps, probe_gaps
from steady_state.instants import Span
from steady_state.verdict import Finding, Verdict, inconclusive
from steady_state.windows import Window


def judge(window: Window) -> Finding:
    """R - H against the limit; a clock that could not run out is INCONCLUSIVE."""
    history, recovery = window.history, window.recovery
    limit = history.limits.recovery_s
    where = history.window(window.span)
    if window.fault.healed is None:
        return inconclusive("the fault was never taken away, so recovery has no beginning", window=where)
    causes = f" ({'; '.join(recovery.causes[:3])})" if recovery.causes else ""
    if recovery.recovered is None:
        ran = recovery.until - window.base
        if recovery.carried and ran > limit:
            return Finding(Verdict.FAIL, f"not recovered after {limit:g} s{causes}", round(ran, 1), limit, "s", window=where)
        return inconclusive(f"not recovered after {max(0.0, ran):.1f} of {limit:g} s{causes}", window=where)
    seconds = round(max(0.0, recovery.recovered - window.fault.healed), 3)
    if seconds > limit:
        return Finding(Verdict.FAIL, f"recovered only after {seconds:.1f} s{causes}", seconds, limit, "s", window=where)
    blind = _blind(window)
    if blind:
        return inconclusive(f"not seen throughout: {blind[0]}", window=where)
    return Finding(Verdict.PASS, f"steady {seconds:.1f} s after the fault ended{causes}", seconds, limit, "s", window=where)


def _blind(window: Window) -> list[str]:
    """Gaps in [I, R + the settled stretch): they decide when the stretch began."""
    history = window.history
    until = min(window.end, (window.settled or window.end) + history.limits.settled_s)
    span = Span(window.injected, until)
    return load_gaps(history, span) + probe_gaps(history, span, "pods") + probe_gaps(history, span, "breakers")
