"""What happened, ready to be judged: traffic, replicas and breakers of a recording as columns and step functions."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from steady_state.counters import since_first
from steady_state.deliveries import Delivered, accepted_operations
from steady_state.downtime import Downtime, refused, rows
from steady_state.fault_history import FaultHistory, read_faults
from steady_state.instants import HAIR_S, Instant, Span
from steady_state.observations import BeatLine, BreakerLine, CacheLine, CallsLine, ReplicationLine
from steady_state.outcomes import SERVED, Outcome
from steady_state.recording import Recording
from steady_state.steps import Steps
from steady_state.traffic import RouteTraffic
from steady_state.violations import Violation, broken_seconds

PLAIN = SERVED - {Outcome.STALE}
"""Outcomes that need no line of their own."""
LIVE, COPY = ("health", "metric", "log"), "copy"
"""Sources of a breaker's state, the most direct first: what the replica says of itself; and what was written down elsewhere."""
STANDBYS = "standbys"
"""The name under which streaming standbys stand beside the workloads' ready replicas."""


@dataclass(frozen=True, slots=True)
class BreakerTrack:
    """One breaker in one replica: its states, and the sample before each change."""

    breaker: str
    replica: str
    source: str
    states: Steps[str]
    previous: dict[Instant, Instant | None]
    counter: Steps[int]


@dataclass(frozen=True, slots=True)
class Ready:
    """Ready replicas of one workload over time, and how many it should have."""

    workload: str
    steps: Steps[int]
    desired: int
    unknown: bool = False
    """Nobody saw it before minute 0: how many it should have is not known."""

    def short(self, end: Instant) -> list[Span]:
        """The stretches with fewer ready replicas than at the baseline."""
        return self.steps.where(lambda ready: ready < self.desired, end=end)


class History:
    """A recording as the criteria see it. Instants are on the run's clock; `timeline` is minute 0 of the hour."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.plan = recording.plan
        self.limits = recording.plan.limits
        started = recording.phase_at("timeline")
        self.started = started is not None
        self.timeline: Instant = recording.last_t if started is None else started
        self.faults: list[FaultHistory] = read_faults(recording, self.timeline)

    @cached_property
    def end(self) -> Instant:
        """The planned end of the hour, or the instant at which an aborted run stopped looking."""
        planned = self.timeline + self.plan.length_s
        stopped = self.recording.phase_at("aborting")
        return min(planned, stopped if stopped is not None else self.recording.last_t)

    @property
    def baseline(self) -> Span:
        """From minute 0 to the first injection that was begun, or to the end where none was."""
        first = min((fault.attempted for fault in self.faults if fault.attempted is not None), default=self.end)
        return Span(self.timeline, max(self.timeline, min(first, self.end)))

    @property
    def cut_short(self) -> bool:
        """Whether the run ended before its timeline did."""
        return self.end < self.timeline + self.plan.length_s - 1e-3

    @cached_property
    def traffic(self) -> dict[str, dict[str, RouteTraffic]]:
        """source -> route -> its requests."""
        traffic = {
            source: {
                route: RouteTraffic(plan, route, min(self.recording.load_ends.get(source, self.recording.last_t), self.recording.last_t))
                for route in plan.routes
            }
            for source, plan in self.recording.load_plans.items()
        }
        for line in self.recording.requests:
            traffic[line.source][line.route].add(line)
        for routes in traffic.values():
            for columns in routes.values():
                columns.sort()
        return traffic

    def load(self, routes: Iterable[str] | None = None) -> list[RouteTraffic]:
        """The load's traffic on the named routes (default: all). Empty when no load was recorded."""
        load = self.traffic.get("load", {})
        return [load[route] for route in (load if routes is None else routes) if route in load]

    def clocked(self) -> list[RouteTraffic]:
        """The traffic by which recovery is told: the load's, or the outside probe's where the load is not ours."""
        return list(self.traffic.get("outside", {}).values()) if self.plan.load_engine == "none" else self.load()

    @cached_property
    def downtimes(self) -> list[Downtime]:
        """Every downtime interval on every user-visible route, by its start."""
        found: list[Downtime] = []
        for route in self.plan.routes:
            sources = [routes[route] for routes in self.traffic.values() if route in routes]
            found += rows(sources, route, self.limits.downtime_row)
        return sorted(found, key=lambda row: row.span.start)

    @cached_property
    def refusals(self) -> list[tuple[str, Span]]:
        """Route and stretch in which requests were refused with a 4xx and none was served."""
        found: list[tuple[str, Span]] = []
        for route in self.plan.routes:
            sources = [routes[route] for routes in self.traffic.values() if route in routes]
            found += [(route, span) for span in refused(sources, self.limits.downtime_row)]
        return sorted(found, key=lambda one: one[1].start)

    @cached_property
    def broken_requests(self) -> dict[str, list[Violation]]:
        """Route -> its failed and slow requests that are violations, by their due instants."""
        return broken_seconds(self.clocked(), self.limits)

    @cached_property
    def exceptions(self) -> dict[str, dict[int, int]]:
        """source -> second -> lines of requests that were not served, or stale: as many as its tally counts."""
        seconds: dict[str, dict[int, int]] = {source: {} for source in self.recording.load_plans}
        for line in self.recording.requests:
            if line.outcome not in PLAIN:
                plan = self.recording.load_plans[line.source]
                second = math.floor(plan.due(line.route, line.number) - plan.start_s + HAIR_S)
                seconds[line.source][second] = seconds[line.source].get(second, 0) + 1
        return seconds

    @cached_property
    def operations(self) -> list[Delivered]:
        """Sync operations that the platform accepted, with their arrivals."""
        return accepted_operations(self.recording)

    @cached_property
    def caches(self) -> list[CacheLine]:
        """The cache's counters, in order."""
        return sorted(self.recording.caches, key=lambda line: line.t)

    @cached_property
    def beats(self) -> dict[str, list[BeatLine]]:
        """Signs of life by probe, in order."""
        beats: dict[str, list[BeatLine]] = {}
        for line in sorted(self.recording.beats, key=lambda line: line.t):
            beats.setdefault(line.probe, []).append(line)
        return beats

    @cached_property
    def calls(self) -> dict[str, list[CallsLine]]:
        """Counters of tries and fallbacks by pod, in order; a container that restarted goes on counting."""
        calls: dict[str, list[CallsLine]] = {}
        for line in sorted(self.recording.calls, key=lambda line: (line.t, line.pod)):
            calls.setdefault(line.pod, []).append(line)
        return {pod: since_first(lines) for pod, lines in sorted(calls.items())}

    @cached_property
    def ready(self) -> dict[str, Ready]:
        """Ready replicas by workload; streaming standbys under `STANDBYS` where replication is seen."""
        ready = {workload: self._workload(workload) for workload in self.plan.workloads}
        if self.recording.replications:
            ready[STANDBYS] = self._standbys()
        return ready

    def _standbys(self) -> Ready:
        """Standbys that stream; only names of the baseline count, since a base backup under way is shown as streaming too."""
        seen = sorted(((line.t, _streaming(line)) for line in self.recording.replications), key=lambda one: one[0])
        before = [names for instant, names in seen if instant <= self.timeline]
        known: Counter[str] = Counter()
        for names in [*before[-1:], *(names for instant, names in seen if self.timeline < instant < self.baseline.end)]:
            # Standbys may share a name: PostgreSQL's own for all of them is the same.
            known |= names
        steps = Steps.of((instant, (names & known).total()) for instant, names in seen)
        return Ready(STANDBYS, steps, known.total(), unknown=not before)

    def _workload(self, workload: str) -> Ready:
        """What it should have is the most that was ready at any instant of the baseline, not what it had at minute 0."""
        steps = Steps.of((line.t, sum(pod.ready for pod in line.pods)) for line in self.recording.pods if line.workload == workload)
        baseline = steps.at(self.timeline)
        changes = zip(steps.instants, steps.values, strict=True)
        later = [value for instant, value in changes if self.timeline < instant < self.baseline.end]
        return Ready(workload, steps, max([baseline or 0, *later]), unknown=baseline is None)

    @cached_property
    def breakers(self) -> list[BreakerTrack]:
        """Every breaker of every replica that was seen, by its best live source."""
        best: dict[tuple[str, str], BreakerTrack] = {}
        for track in self._breaker_tracks:
            if track.source in LIVE:
                best.setdefault((track.breaker, track.replica), track)
        return list(best.values())

    @cached_property
    def breaker_witnesses(self) -> list[BreakerTrack]:
        """What other sources said of the same breakers: shown, never decisive. A copy says what some replica once was."""
        believed = {(track.breaker, track.replica, track.source) for track in self.breakers}
        return [track for track in self._breaker_tracks if (track.breaker, track.replica, track.source) not in believed]

    @cached_property
    def _breaker_tracks(self) -> list[BreakerTrack]:
        """By breaker and replica, the most direct source first."""
        seen: dict[tuple[str, str, str], list[BreakerLine]] = {}
        for line in self.recording.breakers:
            seen.setdefault((line.breaker, line.replica, line.source), []).append(line)
        order = [*LIVE, COPY]
        return [self._track(*key, seen[key]) for key in sorted(seen, key=lambda key: (*key[:2], order.index(key[2])))]

    def _track(self, breaker: str, replica: str, source: str, lines: list[BreakerLine]) -> BreakerTrack:
        states: list[tuple[Instant, str]] = [(line.t, line.state) for line in lines]
        states += [(gone, "closed") for gone in self._absences(replica) if lines and gone > lines[0].t]
        counter = Steps.of((line.t, line.transitions) for line in lines if line.transitions is not None)
        return BreakerTrack(breaker, replica, source, Steps.of(states), {line.t: line.previous_t for line in lines}, counter)

    def _absences(self, replica: str) -> list[Instant]:
        """The instants from which the pod is not there: a breaker dies with its process."""
        workload = next((line.workload for line in self.recording.pods for pod in line.pods if pod.name == replica), None)
        lines = [line for line in self.recording.pods if line.workload == workload]
        return [line.t for line in lines if replica not in {pod.name for pod in line.pods}]

    def there(self, replica: str, span: Span) -> bool:
        """Whether the pod existed at any instant of the span. One that the pod sampler never saw is taken to exist."""
        workload = next((line.workload for line in self.recording.pods for pod in line.pods if pod.name == replica), None)
        if workload is None:
            return True
        lines = [line for line in self.recording.pods if line.workload == workload]
        steps = Steps.of((line.t, any(pod.name == replica for pod in line.pods)) for line in lines)
        return any(one.overlaps(span) for one in steps.where(bool, end=max(span.end, self.recording.last_t)))

    def minute(self, instant: Instant) -> float:
        """Seconds from minute 0 of the hour, for people and reports."""
        return round(instant - self.timeline, 3)

    def window(self, span: Span) -> tuple[float, float]:
        """A span as seconds from minute 0."""
        return (self.minute(span.start), self.minute(span.end))


def _streaming(line: ReplicationLine) -> Counter[str]:
    """How many standbys of each name stream."""
    return Counter(one.name for one in line.replicas if one.state == "streaming")
