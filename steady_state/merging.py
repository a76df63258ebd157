"""Tallies of several workers that share the arrivals of one source: counts and histograms add up exactly, in any order."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from steady_state.observations import RouteTally, TallyLine

NOTHING = RouteTally(due=0, counts={}, latency=[])


def merged(one: TallyLine, other: TallyLine) -> TallyLine:
    """The tally of both workers' requests in the same second of the same source; it is complete when the later one is.

    What a worker said twice counts once.
    """
    if set(one.workers) & set(other.workers):
        return min(one, other, key=lambda line: line.model_dump_json())
    routes = sorted(one.routes.keys() | other.routes.keys())
    return TallyLine(
        seq=max(one.seq, other.seq),
        t=max(one.t, other.t),
        source=one.source,
        second=one.second,
        routes={name: _added(one.routes.get(name, NOTHING), other.routes.get(name, NOTHING)) for name in routes},
        lagged=one.lagged + other.lagged,
        lag_max_ms=max(one.lag_max_ms, other.lag_max_ms),
        workers=tuple(sorted((*one.workers, *other.workers))),
    )


@dataclass(slots=True)
class Together:
    """Tallies as they come, from so many workers of one source."""

    workers: int
    _unfinished: dict[int, TallyLine] = field(default_factory=dict)

    def add(self, line: TallyLine) -> TallyLine | None:
        """The whole second, when this was the last worker's tally of it."""
        so_far = self._unfinished.pop(line.second, None)
        second = line if so_far is None else merged(so_far, line)
        if len(second.workers) >= self.workers:
            return second
        self._unfinished[line.second] = second
        return None


def _added(one: RouteTally, other: RouteTally) -> RouteTally:
    latency = Counter(dict(one.latency)) + Counter(dict(other.latency))
    counts = Counter(one.counts) + Counter(other.counts)
    return RouteTally(due=one.due + other.due, counts=dict(counts), latency=sorted(latency.items()))
