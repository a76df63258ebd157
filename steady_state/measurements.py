"""The measurements that specification 3.5 asks for, whether or not a criterion uses them."""

from __future__ import annotations

from typing import Any

from steady_state.answers import fallback_activations
from steady_state.cache_rates import hit_rate, hit_rates
from steady_state.history import History
from steady_state.instants import Instant, Span
from steady_state.medians import median_ms
from steady_state.rates import rate

Measurements = dict[str, Any]


def measure(history: History, span: Span) -> Measurements:
    """All measurements over one window. Source: spec 3.5, "Measurement"."""
    measured = rate(history, span)
    return {
        "requests": {
            "due": measured.due,
            "failed": measured.failed,
            "rate_limited": measured.rate_limited,
            "client_errors": measured.client_errors,
        },
        "median_ms": {route: _rounded(median_ms(history, route, [span])) for route in history.plan.routes},
        "pod_changes": pod_changes(history, span),
        "breaker_changes": breaker_changes(history, span),
        "fallback_activations": fallback_activations(history, span),
        "cache": cache_rates(history, span),
        "sync": sync_latency(history, span),
    }


def pod_changes(history: History, span: Span) -> list[Measurements]:
    """Pods that came, went, turned ready or not, or restarted, with their instants."""
    changes: list[tuple[Instant, Measurements]] = []
    known: dict[str, tuple[bool, int]] = {}
    workload_pods: dict[str, set[str]] = {}
    for line in history.recording.pods:
        there = {pod.name for pod in line.pods}
        for gone in sorted(workload_pods.get(line.workload, set()) - there):
            known.pop(gone, None)
            changes.append((line.t, _change(history, line.t, line.workload, gone, "gone")))
        for pod in line.pods:
            before = known.get(pod.name)
            what = _what_changed(before, (pod.ready, pod.restarts))
            if what:
                changes.append((line.t, _change(history, line.t, line.workload, pod.name, what)))
            known[pod.name] = (pod.ready, pod.restarts)
        workload_pods[line.workload] = there
    return [change for t, change in changes if span.contains(t)]


def _what_changed(before: tuple[bool, int] | None, now: tuple[bool, int]) -> str:
    if before is None:
        return "ready" if now[0] else "created"
    if now[1] > before[1]:
        return f"restarted ({now[1]})"
    if now[0] != before[0]:
        return "ready" if now[0] else "not ready"
    return ""


def _change(history: History, t: Instant, workload: str, pod: str, what: str) -> Measurements:
    return {"t": history.minute(t), "workload": workload, "pod": pod, "what": what}


def breaker_changes(history: History, span: Span) -> list[Measurements]:
    """Each change of state of each breaker, with the instant it was seen and the look before it."""
    return [
        {
            "t": history.minute(instant),
            "seen_closed_until": None if track.previous.get(instant) is None else history.minute(track.previous[instant] or instant),
            "breaker": track.breaker,
            "replica": track.replica,
            "state": state,
        }
        for track in history.breakers
        for position, (instant, state) in enumerate(zip(track.states.instants, track.states.values, strict=True))
        if position and span.contains(instant)
    ]


def cache_rates(history: History, span: Span) -> Measurements | None:
    """Hit rate before the window, the worst five seconds in it, and how long the rate stayed below 90 % of what it was."""
    before = hit_rate(history, Span(span.start - 10.0, span.start))
    rates = [one for one in hit_rates(history, span, 5.0) if one.lookups]
    if before is None or not before.lookups or not rates:
        return None
    low = min(one.ratio for one in rates)
    below = [one for one in rates if one.ratio < 0.9 * before.ratio]
    return {
        "hit_ratio_before": round(before.ratio, 4),
        "lowest_hit_ratio": round(low, 4),
        "highest_miss_ratio": round(1 - low, 4),
        "below_90_percent_s": round(below[-1].span.end - span.start, 1) if below else 0.0,
    }


def sync_latency(history: History, span: Span) -> Measurements | None:
    """Operations sent in the window: latency from device A to device B in milliseconds, and what did not arrive once and in order."""
    chosen = [one for one in history.operations if span.contains(one.operation.t)]
    if not chosen:
        return None
    delays = sorted((one.arrivals[0] - one.operation.t) * 1000 for one in chosen if one.arrivals)
    return {
        "accepted": len(chosen),
        "queued": sum(one.operation.queued for one in chosen),
        "median_ms": round(delays[len(delays) // 2], 1) if delays else None,
        "p95_ms": round(delays[int(0.95 * (len(delays) - 1))], 1) if delays else None,
        "max_ms": round(delays[-1], 1) if delays else None,
        "lost": len(chosen) - len(delays),
        "doubled": sum(len(one.arrivals) > 1 for one in chosen),
        "out_of_order": sum(one.overtaken for one in chosen),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
