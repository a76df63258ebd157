"""`validity`: the fault happened, was on time, was felt, touched traffic, was taken away; and we saw enough.

Source: design 6, row `validity` and "Proof has three grades". What fails here spoils cells; it never fails the platform.
"""

from __future__ import annotations

from steady_state.blindness import load_share, platform_gaps, traffic_gaps
from steady_state.fault_history import FaultHistory
from steady_state.history import History
from steady_state.instants import Span
from steady_state.verdict import Finding, Verdict, inconclusive
from steady_state.windows import Window


def judge(window: Window) -> Finding:
    """PASS when nothing spoils this fault's cells; else INCONCLUSIVE with every reason."""
    history, fault = window.history, window.fault
    where = history.window(window.span)
    reasons = spoilers(history, fault) + traffic_gaps(history, window.span) + platform_gaps(history, window.span)
    reasons += _underload(history, window.span)
    if not fault.taken_away:
        reasons.append(f"it was not taken away{': ' + fault.trouble if fault.trouble else ''}")
    if reasons:
        return inconclusive("; ".join(reasons), window=where)
    assert fault.late_s is not None
    assert fault.felt is not None
    because = (
        f"injected {fault.late_s * 1000:.0f} ms from its instant, "
        f"felt after {max(0.0, fault.felt - window.injected):.2f} s ({fault.proof}), exposure {fault.exposure} ({fault.exposure_source})"
    )
    return Finding(Verdict.PASS, because, round(fault.late_s, 4), history.limits.injection_late_s, "s", fault.exposure, where)


def _underload(history: History, span: Span) -> list[str]:
    if history.plan.load_engine == "none":
        return []
    share = load_share(history, span)
    return [f"only {share or 0:.1%} of the planned load was sent"] if share is None or share < history.limits.load_ratio else []


def spoilers(history: History, fault: FaultHistory) -> list[str]:
    """Why no cell of this fault can be believed: it did not happen as planned, was not felt, or touched no traffic."""
    limits = history.limits
    if fault.injected is None or fault.late_s is None:
        return [_not_injected(history, fault)]
    reasons: list[str] = []
    if fault.late_s > limits.injection_late_s:
        reasons.append(f"injected {fault.late_s:.2f} s away from its instant (limit {limits.injection_late_s:g} s)")
    if fault.felt is None:
        reasons.append(f"its effect was not felt{': ' + fault.proof if fault.proof else ''}")
    elif fault.felt < fault.injected:
        reasons.append(f"its effect was felt {fault.injected - fault.felt:.2f} s before it was injected: something else made it")
    elif fault.felt - fault.injected > limits.felt_within_s:
        reasons.append(f"its effect was felt only after {fault.felt - fault.injected:.1f} s (limit {limits.felt_within_s:g} s)")
    if fault.lost:
        reasons.append(f"its effect was not felt any more just before it was taken away: {fault.lost}")
    # A run that was told to end heals early: what failed until then did fail.
    if fault.healed is not None and fault.healed < min(history.end, fault.injected + fault.fault.hold_s - limits.injection_late_s):
        reasons.append(f"it lasted only {fault.healed - fault.injected:.1f} of {fault.fault.hold_s:g} s")
    if fault.exposure is None:
        reasons.append("it is not known whether anybody used the target")
    elif fault.exposure <= 0:
        reasons.append(f"touched no traffic: nobody used the target before the fault ({fault.exposure_source})")
    return reasons


def _not_injected(history: History, fault: FaultHistory) -> str:
    if fault.trouble:
        return f"not injected: {fault.trouble}"
    if fault.attempted is not None and fault.attempted < history.end:
        return "not injected: the write was begun and never acknowledged"
    if not history.started:
        return "not injected: the timeline never began"
    if history.cut_short and fault.planned >= history.end:
        return f"not injected: the run ended at {history.minute(history.end):.1f} s"
    return "not injected"
