"""Step functions: a value that holds from one observation to the next."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from steady_state.instants import Instant, Span

Value = TypeVar("Value")


@dataclass(slots=True)
class Steps(Generic[Value]):
    """Values by instant; between two instants the earlier value holds, before the first there is none."""

    instants: list[Instant] = field(default_factory=list)
    values: list[Value] = field(default_factory=list)

    @classmethod
    def of(cls, pairs: Iterable[tuple[Instant, Value]]) -> Steps[Value]:
        """Steps from pairs in any order; of two at one instant the later one counts."""
        steps: Steps[Value] = cls()
        for instant, value in sorted(pairs, key=lambda pair: pair[0]):
            if steps.values and steps.values[-1] == value:
                continue
            steps.instants.append(instant)
            steps.values.append(value)
        return steps

    def at(self, instant: Instant) -> Value | None:
        """The value that holds at the instant."""
        position = bisect_right(self.instants, instant)
        return self.values[position - 1] if position else None

    def where(self, condition: Callable[[Value], bool], *, end: Instant) -> list[Span]:
        """The stretches in which the condition holds; the last value lasts to `end`."""
        spans: list[Span] = []
        for position, (instant, value) in enumerate(zip(self.instants, self.values, strict=True)):
            until = self.instants[position + 1] if position + 1 < len(self.instants) else end
            if condition(value) and instant < until:
                if spans and spans[-1].end == instant:
                    spans[-1] = Span(spans[-1].start, until)
                else:
                    spans.append(Span(instant, until))
        return spans
