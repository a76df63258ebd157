"""The hour as columns for the picture: at most about a thousand points a line, x in minutes of the hour."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from steady_state.history import BreakerTrack, History, Ready
from steady_state.instants import Instant
from steady_state.latency import quantile
from steady_state.observations import CacheLine, RouteTally
from steady_state.outcomes import EXCLUDED, FAILED
from steady_state.steps import Steps

POINTS = 1000
QUANTILES = (0.5, 0.95, 0.99)
Column = list[float]


@dataclass(frozen=True, slots=True)
class Axis:
    """The shared time axis: whole bins of seconds from minute 0, labelled in minutes of the unscaled hour."""

    origin: Instant
    length_s: float
    minutes_per_s: float
    bin_s: int

    @classmethod
    def of(cls, history: History) -> Axis:
        length_s = history.plan.length_s
        return cls(history.timeline, length_s, history.plan.scale_time / 60, max(1, math.ceil(length_s / POINTS)))

    @property
    def bins(self) -> int:
        return max(1, math.ceil(self.length_s / self.bin_s))

    def bin(self, instant: Instant) -> int | None:
        """The bin of an instant, or None outside the hour."""
        position = math.floor((instant - self.origin) / self.bin_s)
        return position if 0 <= position < self.bins else None

    def x(self, instant: Instant) -> float:
        """An instant in minutes of the hour, kept inside it."""
        return min(max(instant - self.origin, 0.0), self.length_s) * self.minutes_per_s

    def edges(self) -> Column:
        """The bins' beginnings, in minutes of the hour."""
        return [position * self.bin_s * self.minutes_per_s for position in range(self.bins)]

    def middles(self) -> Column:
        """The bins' middles, in minutes of the hour."""
        return [(position + 0.5) * self.bin_s * self.minutes_per_s for position in range(self.bins)]

    def blank(self) -> Column:
        return [math.nan] * self.bins


@dataclass(frozen=True, slots=True)
class Errors:
    """Failed requests per second and failed share, per bin; NaN where nothing was recorded."""

    x: Column
    failed_per_s: Column
    failed_ratio: Column


def errors(history: History, axis: Axis) -> Errors:
    """Of the load, by due instants."""
    failed, counted, seconds = ([0] * axis.bins for _ in range(3))
    for place, routes in _tallies(history, axis):
        seconds[place] += 1
        for tally in routes.values():
            failed[place] += sum(count for outcome, count in tally.counts.items() if outcome in FAILED)
            counted[place] += sum(count for outcome, count in tally.counts.items() if outcome not in EXCLUDED)
    per_s = [count / length if length else math.nan for count, length in zip(failed, seconds, strict=True)]
    ratio = [count / of if of else math.nan for count, of in zip(failed, counted, strict=True)]
    return Errors(axis.edges(), per_s, ratio)


def latencies_ms(history: History, axis: Axis) -> dict[str, dict[float, Column]]:
    """Route -> quantile -> served latency of the load in milliseconds per bin."""
    merged: dict[str, list[dict[int, int]]] = {route: [{} for _ in range(axis.bins)] for route in history.plan.routes}
    for place, routes in _tallies(history, axis):
        for route, tally in routes.items():
            for index, count in tally.latency if route in merged else ():
                merged[route][place][index] = merged[route][place].get(index, 0) + count
    return {route: {q: [_ms(counts, q) for counts in bins] for q in QUANTILES} for route, bins in merged.items() if any(bins)}


def _ms(counts: dict[int, int], q: float) -> float:
    value = quantile(counts.items(), q)
    return math.nan if value is None else value / 1000


def _tallies(history: History, axis: Axis) -> Iterator[tuple[int, dict[str, RouteTally]]]:
    """(bin, routes) of each recorded second of the load inside the hour."""
    plan = history.recording.load_plans.get("load")
    for second, line in sorted(history.recording.tallies.get("load", {}).items()):
        place = axis.bin(plan.start_s + second + 0.5) if plan else None
        if place is not None:
            yield place, line.routes


@dataclass(frozen=True, slots=True)
class Line:
    """A step function inside the hour."""

    name: str
    x: Column
    y: Column


def ready_replicas(history: History, axis: Axis) -> list[Line]:
    """Ready replicas of the workloads whose number changed during the hour."""
    lines = [_steps(ready, history, axis) for ready in history.ready.values()]
    return [line for line in lines if len(set(line.y)) > 1]


def _steps(ready: Ready, history: History, axis: Axis) -> Line:
    inside = [(instant, value) for instant, value in _within(ready.steps, axis) if instant <= history.end]
    y = [float(value) for _, value in inside]
    return Line(ready.workload, [*(axis.x(instant) for instant, _ in inside), axis.x(history.end)], [*y, *y[-1:]] if y else [math.nan])


def _within(steps: Steps[int], axis: Axis) -> Iterator[tuple[Instant, int]]:
    """The value at minute 0 and each change after it."""
    before = steps.at(axis.origin)
    if before is not None:
        yield axis.origin, before
    yield from ((instant, value) for instant, value in zip(steps.instants, steps.values, strict=True) if instant > axis.origin)


@dataclass(frozen=True, slots=True)
class Lane:
    """One breaker in one replica: (from, to, state) in minutes of the hour, while it was there."""

    breaker: str
    replica: str
    states: list[tuple[float, float, str]] = field(default_factory=list)

    @property
    def moved(self) -> bool:
        return any(state != "closed" for _, _, state in self.states)


def lanes(history: History, axis: Axis) -> list[Lane]:
    """Each breaker that was there during the hour, in the order of the plan."""
    order = {breaker.name: place for place, breaker in enumerate(history.plan.breakers)}
    tracks = sorted(history.breakers, key=lambda track: (order.get(track.breaker, len(order)), track.replica))
    found = [_lane(history, axis, track) for track in tracks]
    return [lane for lane in found if lane.states]


def _lane(history: History, axis: Axis, track: BreakerTrack) -> Lane:
    end = min(_gone(history, track.replica), history.end)
    lane = Lane(track.breaker, track.replica)
    for instant, until, state in _stretches(track.states, end):
        if until > axis.origin and instant < end:
            lane.states.append((axis.x(instant), axis.x(min(until, end)), state))
    return lane


def _stretches(steps: Steps[str], end: Instant) -> Iterable[tuple[Instant, Instant, str]]:
    return zip(steps.instants, [*steps.instants[1:], end], steps.values, strict=True)


def _gone(history: History, replica: str) -> Instant:
    """When the pod was no longer there; infinity for one that stayed or that is no pod."""
    workload = next((line.workload for line in history.recording.pods if any(pod.name == replica for pod in line.pods)), None)
    there = [(line.t, any(pod.name == replica for pod in line.pods)) for line in history.recording.pods if line.workload == workload]
    last = max((t for t, present in there if present), default=math.inf)
    return min((t for t, present in there if not present and t > last), default=math.inf)


def cache_hit_ratio(history: History, axis: Axis) -> Line:
    """Hits over hits and misses between the last looks of two bins, by the cache's own counters."""
    last: dict[int, CacheLine] = {}
    for line in history.recording.caches:
        place = math.floor((line.t - axis.origin) / axis.bin_s)
        last[place] = line
    y = axis.blank()
    for place in range(axis.bins):
        before, now = last.get(place - 1), last.get(place)
        if before is not None and now is not None:
            y[place] = _hit_ratio(before, now)
    return Line("cache hit ratio", axis.middles(), y)


def _hit_ratio(before: CacheLine, now: CacheLine) -> float:
    hits, misses = now.hits - before.hits, now.misses - before.misses
    return hits / (hits + misses) if hits >= 0 and misses >= 0 and hits + misses else math.nan


@dataclass(frozen=True, slots=True)
class Operations:
    """Sync operations by the minute they were sent: latency in ms of the delivered, and the instants of the lost."""

    straight: list[tuple[float, float]]
    queued: list[tuple[float, float]]
    lost: Column


def operations(history: History, axis: Axis) -> Operations:
    """All accepted ones; where there are more than the picture can hold, the slowest of each bin."""
    arrived: dict[tuple[str, int], Instant] = {}
    for line in history.recording.deliveries:
        key = (line.user, line.number)
        arrived[key] = min(line.t, arrived.get(key, math.inf))
    straight: list[tuple[float, float]] = []
    queued: list[tuple[float, float]] = []
    lost: Column = []
    for one in history.recording.operations:
        if not one.accepted or axis.bin(one.t) is None:
            continue
        arrival = arrived.get((one.user, one.number))
        if arrival is None:
            lost.append(axis.x(one.t))
        else:
            (queued if one.queued else straight).append((axis.x(one.t), max(0.1, (arrival - one.t) * 1000)))
    return Operations(_slowest(straight, axis), _slowest(queued, axis), lost)


def _slowest(points: list[tuple[float, float]], axis: Axis) -> list[tuple[float, float]]:
    if len(points) <= POINTS:
        return points
    width = axis.bin_s * axis.minutes_per_s
    slowest: dict[int, tuple[float, float]] = {}
    for point in points:
        place = math.floor(point[0] / width)
        if place not in slowest or slowest[place][1] < point[1]:
            slowest[place] = point
    return [slowest[place] for place in sorted(slowest)]
