"""What each sampler saw around an instant, in sentences for people."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from steady_state.answers import fallback_activations
from steady_state.cache_rates import hit_rate
from steady_state.history import STANDBYS, BreakerTrack, History
from steady_state.instants import Instant, Span
from steady_state.measurements import pod_changes, sync_latency
from steady_state.traffic import RouteTraffic, count_in
from steady_state.tries import Tries
from steady_state.violations import replica_violations

MOST = 5
"""So many sentences of one sampler fit on the screen."""
EVER = Span(-math.inf, math.inf)
BEFORE_S = 10.0
"""What is told of before is told of so many seconds before the stretch."""


@dataclass(frozen=True, slots=True)
class Account:
    """One sampler and what it saw."""

    sampler: str
    sentences: tuple[str, ...]


def accounts(history: History, around: Span) -> tuple[Account, ...]:
    """All samplers in a fixed order; one that saw nothing says so."""
    found = ((name, list(look(history, around))) for name, look in _LOOKS.items())
    return tuple(Account(name, tuple(_cut(sentences))) for name, sentences in found)


def _cut(sentences: list[str]) -> list[str]:
    return sentences if len(sentences) <= MOST else [*sentences[: MOST - 1], f"and {len(sentences) - MOST + 1} more"]


def _requests(source: str) -> Callable[[History, Span], Iterator[str]]:
    def look(history: History, around: Span) -> Iterator[str]:
        routes = history.traffic.get(source)
        if routes is None:
            yield "no requests of this source were recorded"
            return
        counted = sum(route.counted(around) for route in routes.values())
        failed = [f"{name} {route.failures(around)} of {route.counted(around)}" for name, route in routes.items() if route.failures(around)]
        slow = [f"{name} {count}" for name, route in routes.items() if (count := _slow(route, around))]
        yield f"failed: {', '.join(failed)}" if failed else f"none of {counted:,} failed"
        if slow:
            yield f"served, but above the maximum of its route: {', '.join(slow)}"

    return look


def _slow(route: RouteTraffic, around: Span) -> int:
    """The column of slow requests holds the failed ones too."""
    return count_in(route.slow, around) - count_in(route.failed, around)


def _pods(history: History, around: Span) -> Iterator[str]:
    if not history.recording.pods:
        yield "no pod was seen"
        return
    workloads = [name for name in history.ready if name != STANDBYS]
    short = [one for one in replica_violations(history, EVER, workloads) if one.span.overlaps(around)]
    yield from (f"{one.what} from {_at(history, one.span.start)} to {_at(history, one.span.end)}" for one in short)
    changes = pod_changes(history, around)
    yield from (f"{change['t']:.2f} s {change['pod']} {change['what']}" for change in changes)
    if not short and not changes:
        yield "all replicas ready, none changed"


def _breakers(history: History, around: Span) -> Iterator[str]:
    read = {track.breaker for track in history.breakers}
    unread = [one.name for one in history.plan.breakers if one.name not in read]
    if unread:
        yield f"not read: {', '.join(unread)}"
    witnesses = [track for track in history.breaker_witnesses if _states(history, track, around)]
    told = 0
    for breaker in sorted(read):
        tracks = [track for track in history.breakers if track.breaker == breaker and history.there(track.replica, around)]
        moved = [track for track in tracks if _states(history, track, around)]
        if moved:
            told += 1
            states = "; ".join(f"{track.replica} {_states(history, track, around)}" for track in moved)
            yield f"{breaker} left closed on {len({t.replica for t in moved})} of {len({t.replica for t in tracks})} replicas: {states}"
    yield from (f"{one.breaker} by its {one.source}: {one.replica} {_states(history, one, around)}" for one in witnesses)
    if read and not told:
        yield f"all {'others ' if unread else ''}closed on every replica"


def _states(history: History, track: BreakerTrack, around: Span) -> str:
    """The states in the stretch with their instants; empty when it was closed throughout."""
    first = track.states.at(around.start)
    inside = [(t, state) for t, state in zip(track.states.instants, track.states.values, strict=True) if around.contains(t)]
    words = [f"{first} at {_at(history, around.start)}"] if first not in (None, "closed") else []
    if not words and all(state == "closed" for _, state in inside):
        return ""
    return ", ".join([*words, *(f"{state} {_at(history, t)}" for t, state in inside)]).replace("half_open", "half-open")


def _cache(history: History, around: Span) -> Iterator[str]:
    before, inside = hit_rate(history, Span(around.start - BEFORE_S, around.start)), hit_rate(history, around)
    if inside is None or not inside.lookups:
        yield "no hit or miss was seen"
        return
    yield f"hit rate {inside.ratio:.1%}" + ("" if before is None else f", {before.ratio:.1%} in the {BEFORE_S:.0f} s before")
    yield from (
        f"flushed between {_at(history, one.t)} and {_at(history, two.t)}, {two.keys} keys left"
        for one, two in pairwise(history.caches)
        if around.contains(two.t) and two.flushes > one.flushes
    )


def _replication(history: History, around: Span) -> Iterator[str]:
    ready = history.ready.get(STANDBYS)
    if ready is None:
        yield "no standby was seen"
        return
    short = [one for one in ready.short(history.recording.last_t) if one.overlaps(around)]
    yield from (f"fewer than {ready.desired} standbys stream from {_at(history, one.start)} to {_at(history, one.end)}" for one in short)
    if not short:
        yield f"all {ready.desired} standbys stream"
    lags = [one.lag_bytes for line in history.recording.replications if around.contains(line.t) for one in line.replicas]
    if lags and max(lags) > 0:
        yield f"lag up to {max(lags):,} bytes"


def _delivery(history: History, around: Span) -> Iterator[str]:
    refused = sum(around.contains(one.t) and not one.accepted for one in history.recording.operations)
    seen = sync_latency(history, around)
    if seen is None:
        yield f"no operation was accepted, {refused} refused" if refused else "no operation was sent"
        return
    took = "" if seen["median_ms"] is None else f"; median {seen['median_ms']:,.0f} ms, longest {seen['max_ms']:,.0f} ms"
    yield (
        f"{seen['accepted']} operations accepted ({seen['queued']} queued), {refused} refused; "
        f"{seen['lost']} lost, {seen['doubled']} doubled, {seen['out_of_order']} out of order{took}"
    )


def _calls(history: History, around: Span) -> Iterator[str]:
    if not history.calls:
        yield "no try was counted"
        return
    before = Span(around.start - BEFORE_S, around.start)
    tries, errors = Tries(history), _errors(history, around)
    words = [
        f"{name} {tries.made(name, around) / around.length_s:.1f} ({tries.made(name, before) / before.length_s:.1f})"
        + (f", {errors[name]} failed" if errors.get(name) else "")
        for name in tries.dependencies
        if tries.made(name, around) or tries.made(name, before)
    ]
    yield f"tries a second (in the {BEFORE_S:.0f} s before): {'; '.join(words) if words else 'none'}"
    fallbacks = fallback_activations(history, around)
    yield "fallbacks: " + (", ".join(f"{kind} {count}" for kind, count in fallbacks.items()) or "none")


def _errors(history: History, span: Span) -> dict[str, int]:
    """How many tries of all pods failed in the span, by dependency; a pod that was not read before it started at zero."""
    totals: dict[str, int] = {}
    for lines in history.calls.values():
        inside = [line for line in lines if span.contains(line.t)]
        base = next((line.errors for line in reversed(lines) if line.t < span.start), {})
        for name, count in (inside[-1].errors if inside else {}).items():
            totals[name] = totals.get(name, 0) + max(0, count - base.get(name, 0))
    return totals


def _host(history: History, around: Span) -> Iterator[str]:
    inside = [line for line in history.recording.hosts if around.contains(line.t)]
    if not inside:
        yield "not recorded"
        return
    worst = max(inside, key=lambda line: line.steal_ratio)
    busy = sum(line.busy_ratio for line in inside) / len(inside)
    yield f"busy {busy:.0%} on average, CPU steal at most {worst.steal_ratio:.0%} (second before {_at(history, worst.t)})"


def _at(history: History, instant: Instant) -> str:
    return f"{history.minute(instant):.2f} s"


_LOOKS: dict[str, Callable[[History, Span], Iterator[str]]] = {
    "load": _requests("load"),
    "outside": _requests("outside"),
    "pods": _pods,
    "breakers": _breakers,
    "cache": _cache,
    "replication": _replication,
    "delivery": _delivery,
    "calls": _calls,
    "host": _host,
}
"""Sampler -> what it says of a stretch."""
