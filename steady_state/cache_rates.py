"""The cache's hit rate over stretches, by the cache server's own counters."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass

from steady_state.history import History
from steady_state.instants import HAIR_S, Instant, Span
from steady_state.observations import CacheLine


@dataclass(frozen=True, slots=True)
class HitRate:
    """Lookups and hits between two readings of the counters."""

    span: Span
    hits: int
    lookups: int

    @property
    def ratio(self) -> float:
        return self.hits / self.lookups if self.lookups else 0.0


def hit_rate(history: History, span: Span) -> HitRate | None:
    """Between the last reading before the span (at most a second before) and the last one in it; None without two readings."""
    lines = history.caches
    first = bisect_left(lines, span.start - 1.0, key=_instant)
    last = bisect_right(lines, span.end, key=_instant) - 1
    return _between(lines, first, last) if last > first else None


def hit_rates(history: History, span: Span, length_s: float) -> list[HitRate]:
    """The rate over `length_s` from each reading in the span on; stretches that reach beyond the span are left out."""
    lines = history.caches
    found: list[HitRate] = []
    for first in range(bisect_left(lines, span.start, key=_instant), len(lines)):
        last = bisect_left(lines, lines[first].t + length_s - HAIR_S, key=_instant)
        if last >= len(lines) or lines[last].t > span.end:
            break
        rate = _between(lines, first, last)
        found += [rate] if rate is not None else []
    return found


def _between(lines: list[CacheLine], first: int, last: int) -> HitRate | None:
    """None where the counters went back: the server began anew."""
    hits, misses = lines[last].hits - lines[first].hits, lines[last].misses - lines[first].misses
    return HitRate(Span(lines[first].t, lines[last].t), hits, hits + misses) if hits >= 0 and misses >= 0 else None


def _instant(line: CacheLine) -> Instant:
    return line.t
