"""Tries at each dependency over stretches, by the services' own counters, pod by pod."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

from steady_state.history import History
from steady_state.instants import Instant, Span
from steady_state.observations import CallsLine

PERIOD_S = 1.0
"""Counters are read this often; between two readings a counter is taken to have grown evenly."""


@dataclass(frozen=True, slots=True)
class _Counter:
    """One pod's counter of one dependency: its readings, from zero where the pod is new."""

    instants: list[Instant]
    values: list[int]

    def at(self, instant: Instant) -> float:
        after = bisect_right(self.instants, instant)
        if after == 0:
            return self.values[0]
        if after == len(self.instants):
            return self.values[-1]
        start, end = self.instants[after - 1], self.instants[after]
        grown = self.values[after] - self.values[after - 1]
        return self.values[after - 1] + grown * (instant - start) / (end - start)


class Tries:
    """All counters of a run."""

    def __init__(self, history: History) -> None:
        self._counters: dict[str, list[_Counter]] = {}
        for pod, lines in history.calls.items():
            for dependency in sorted({name for line in lines for name in line.calls}):
                self._counters.setdefault(dependency, []).append(_counter(history, pod, lines, dependency))

    @property
    def dependencies(self) -> list[str]:
        return sorted(self._counters)

    def made(self, dependency: str, span: Span) -> float:
        """Tries at the dependency in the span, by all pods together."""
        return sum(max(0.0, counter.at(span.end) - counter.at(span.start)) for counter in self._counters[dependency])


def _counter(history: History, pod: str, lines: list[CallsLine], dependency: str) -> _Counter:
    instants, values = [line.t for line in lines], [line.calls.get(dependency, 0) for line in lines]
    if _born_later(history, pod):
        return _Counter([instants[0] - PERIOD_S, *instants], [0, *values])
    return _Counter(instants, values)


def _born_later(history: History, pod: str) -> bool:
    """Whether the pod came after minute 0: what it had counted when it was first read counts from zero."""
    seen = [line.t for line in history.recording.pods if any(one.name == pod for one in line.pods)]
    return bool(seen) and min(seen) > history.timeline
