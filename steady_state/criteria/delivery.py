"""`delivery`: every sync operation that the platform accepted takes effect once and in order, soon after the fault ended.

Source: ours, design 6; Media Gateway facts, "queues while offline, replays on reconnection". The definition is ADR 0012.
"""

from __future__ import annotations

from steady_state.blindness import probe_gaps
from steady_state.deliveries import Delivered
from steady_state.instants import Instant, Span
from steady_state.verdict import Finding, Verdict, inconclusive
from steady_state.windows import Window

PROBE = "delivery"
UNDER_WAY_S = 5.0
"""An operation sent this long before an injection may still be on its way when it is hit: the fault answers for it."""


def judge(window: Window) -> Finding:
    """None lost, doubled or out of order, of the operations sent from just before I to the next I."""
    history = window.history
    where = history.window(window.span)
    if history.plan.sync_route is None:
        return inconclusive("the target description names no delivery", window=where)
    if window.fault.healed is None:
        return inconclusive("the fault was never taken away, so nobody knows until when an operation may take", window=where)
    chosen = _sent(window)
    if not chosen:
        deaf = probe_gaps(history, window.span, PROBE)
        why = f" (not seen throughout: {deaf[0]})" if deaf else ""
        return inconclusive(f"no operation was accepted in this window{why}", window=where)
    missing = [one for one in chosen if not _in_time(window, one)]
    doubled = [one for one in chosen if len(one.arrivals) > 1]
    overtaken = [one for one in chosen if one.overtaken]
    slowest = round(max((_delay(window, one) for one in chosen if one.arrivals), default=0.0), 3)
    within = history.limits.delivery_within_s
    words = _words(window, chosen, {"lost": missing, "doubled": doubled, "out of order": overtaken})
    blind = None if doubled or overtaken else _blind(window, chosen, missing)
    if blind:
        return inconclusive(f"{blind}; {words}", window=where)
    verdict = Verdict.FAIL if missing or doubled or overtaken else Verdict.PASS
    evidence = tuple(_evidence(window, one) for one in [*missing, *doubled, *overtaken][:5])
    return Finding(verdict, f"{words}; the slowest took {slowest:.2f} s", slowest, within, "s", len(chosen), where, evidence)


def _sent(window: Window) -> list[Delivered]:
    """What this fault answers for: sent from shortly before its injection until as shortly before the next."""
    end = window.end if window.last else window.end - UNDER_WAY_S
    span = Span(window.injected - UNDER_WAY_S, end)
    return [one for one in window.history.operations if span.contains(one.operation.t)]


def _delay(window: Window, one: Delivered) -> float:
    """Seconds from the sending, or from H where that is later, to the first arrival."""
    return max(0.0, one.arrivals[0] - max(window.base, one.operation.t))


def _deadline(window: Window, one: Delivered) -> Instant:
    return max(window.base, one.operation.t) + window.history.limits.delivery_within_s


def _in_time(window: Window, one: Delivered) -> bool:
    return bool(one.arrivals) and one.arrivals[0] <= _deadline(window, one)


def _blind(window: Window, chosen: list[Delivered], missing: list[Delivered]) -> str | None:
    """Why the loss, or the lack of any, cannot be believed: the device did not listen throughout, or not long enough."""
    history = window.history
    waited = max((_deadline(window, one) for one in missing), default=0.0)
    if missing and waited > history.recording.last_t:
        return f"not awaited for {history.limits.delivery_within_s:g} s"
    if missing and history.recording.lost:
        return f"lines of the recording are lost ({history.recording.lost[0]})"
    arrived = max((one.arrivals[0] for one in chosen if one.arrivals), default=0.0)
    gaps = probe_gaps(history, Span(window.injected, max(window.end, arrived, waited)), PROBE)
    return f"not seen throughout: {gaps[0]}" if gaps else None


def _words(window: Window, chosen: list[Delivered], wrong: dict[str, list[Delivered]]) -> str:
    queued = sum(one.operation.queued for one in chosen)
    counts = ", ".join(f"{len(ones)} {what}" for what, ones in wrong.items())
    return f"of {len(chosen)} accepted operations ({queued} queued) {counts}"


def _evidence(window: Window, one: Delivered) -> str:
    history = window.history
    arrivals = ", ".join(f"{history.minute(t):.2f} s" for t in one.arrivals) or "never"
    late = " (overtaken by a later one)" if one.overtaken else ""
    return f"{one.words}: sent at {history.minute(one.operation.t):.2f} s, arrived {arrivals}{late}"
