"""What happened, ready to be judged: traffic, replicas and breakers of a recording as columns and step functions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from steady_state.fault_history import FaultHistory, read_faults
from steady_state.instants import Instant, Span
from steady_state.recording import Recording
from steady_state.steps import Steps
from steady_state.traffic import RouteTraffic

STANDBYS = "standbys"
"""The name under which streaming standbys stand beside the workloads' ready replicas."""


@dataclass(frozen=True, slots=True)
class BreakerTrack:
    """One breaker in one replica: its states, and the sample before each change."""

    breaker: str
    replica: str
    states: Steps[str]
    previous: dict[Instant, Instant | None]
    counter: Steps[int]


@dataclass(frozen=True, slots=True)
class Ready:
    """Ready replicas of one workload over time, and how many it should have."""

    workload: str
    steps: Steps[int]
    desired: int

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

    @cached_property
    def ready(self) -> dict[str, Ready]:
        """Ready replicas by workload; streaming standbys under `STANDBYS` where replication is seen."""
        ready = {workload: self._workload(workload) for workload in self.plan.workloads}
        if self.recording.replications:
            streaming = Steps.of((line.t, sum(one.state == "streaming" for one in line.replicas)) for line in self.recording.replications)
            ready[STANDBYS] = Ready(STANDBYS, streaming, streaming.at(self.timeline) or 0)
        return ready

    def _workload(self, workload: str) -> Ready:
        steps = Steps.of((line.t, sum(pod.ready for pod in line.pods)) for line in self.recording.pods if line.workload == workload)
        return Ready(workload, steps, steps.at(self.timeline) or 0)

    @cached_property
    def breakers(self) -> list[BreakerTrack]:
        """Every breaker of every replica that was seen."""
        seen = sorted({(line.breaker, line.replica) for line in self.recording.breakers})
        return [self._track(breaker, replica) for breaker, replica in seen]

    def _track(self, breaker: str, replica: str) -> BreakerTrack:
        lines = [line for line in self.recording.breakers if (line.breaker, line.replica) == (breaker, replica)]
        states: list[tuple[Instant, str]] = [(line.t, line.state) for line in lines]
        states += [(gone, "closed") for gone in self._absences(replica) if lines and gone > lines[0].t]
        counter = Steps.of((line.t, line.transitions) for line in lines if line.transitions is not None)
        return BreakerTrack(breaker, replica, Steps.of(states), {line.t: line.previous_t for line in lines}, counter)

    def _absences(self, replica: str) -> list[Instant]:
        """The instants from which the pod is not there: a breaker dies with its process."""
        workload = next((line.workload for line in self.recording.pods for pod in line.pods if pod.name == replica), None)
        lines = [line for line in self.recording.pods if line.workload == workload]
        return [line.t for line in lines if replica not in {pod.name for pod in line.pods}]

    def present(self, replica: str, span: Span) -> bool:
        """Whether the pod sampler showed the replica ready during the whole span."""
        lines = [line for line in self.recording.pods if any(pod.name == replica for pod in line.pods)]
        if not lines:
            return False
        workload = lines[0].workload
        steps = Steps.of(
            (line.t, any(pod.name == replica and pod.ready for pod in line.pods))
            for line in self.recording.pods
            if line.workload == workload
        )
        away = steps.where(lambda there: not there, end=self.recording.last_t)
        return bool(steps.at(span.start)) and not any(gone.overlaps(span) for gone in away)

    def minute(self, instant: Instant) -> float:
        """Seconds from minute 0 of the hour, for people and reports."""
        return round(instant - self.timeline, 3)

    def window(self, span: Span) -> tuple[float, float]:
        """A span as seconds from minute 0."""
        return (self.minute(span.start), self.minute(span.end))
