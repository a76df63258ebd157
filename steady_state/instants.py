"""Instants and spans: seconds on the run's one monotonic clock."""

from __future__ import annotations

from dataclasses import dataclass

Instant = float
"""Seconds of CLOCK_MONOTONIC. All processes of a run share it; the recording's first line ties it to wall time."""
HAIR_S = 1e-6
"""Less than this apart is the same instant: sums of floats differ in their last digits, and no verdict may hang on them."""


@dataclass(frozen=True, slots=True)
class Span:
    """A half-open stretch of time [start, end), in seconds of the monotonic clock."""

    start: Instant
    end: Instant

    @property
    def length_s(self) -> float:
        return max(0.0, self.end - self.start)

    def contains(self, instant: Instant) -> bool:
        return self.start <= instant < self.end

    def overlaps(self, other: Span) -> bool:
        return self.start < other.end and other.start < self.end

    def stretches(self, length_s: float) -> list[Span]:
        """Stretches of this length, begun at each whole second of the span, and the one that ends with it; a shorter span itself."""
        last = int(max(0.0, self.length_s - length_s) + HAIR_S)
        starts = [self.start + step for step in range(last + 1)]
        if self.end - length_s > starts[-1] + HAIR_S:
            starts.append(self.end - length_s)
        return [Span(start, min(self.end, start + length_s)) for start in starts]

    def clipped(self, other: Span) -> Span:
        """The part of this span that lies inside `other` (empty spans have length 0)."""
        start = max(self.start, other.start)
        return Span(start, max(start, min(self.end, other.end)))
