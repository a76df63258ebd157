"""Requests of one route as sorted columns, so that any stretch is counted by bisection and arithmetic."""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass, field

from steady_state.instants import HAIR_S, Instant, Span
from steady_state.load_plan import LoadPlan
from steady_state.observations import RequestLine
from steady_state.outcomes import EXCLUDED, FAILED, Outcome


def count_in(instants: list[Instant], span: Span) -> int:
    """How many of the sorted instants lie in the span."""
    return bisect_left(instants, span.end) - bisect_left(instants, span.start)


@dataclass(slots=True)
class RouteTraffic:
    """All requests of one source on one route: the plan, and the exceptions from "served well" as sorted due instants."""

    plan: LoadPlan
    route: str
    end: Instant
    failed: list[Instant] = field(default_factory=list)
    excluded: list[Instant] = field(default_factory=list)
    slow: list[Instant] = field(default_factory=list)
    rate_limited: list[Instant] = field(default_factory=list)
    client_errors: list[Instant] = field(default_factory=list)
    generator: list[Instant] = field(default_factory=list)
    stale: list[Instant] = field(default_factory=list)
    unserved_numbers: set[int] = field(default_factory=set)
    shown: dict[Instant, Instant] = field(default_factory=dict)
    """When each failure began to show: a request due just before an injection may be under way when it is hit."""

    def add(self, line: RequestLine) -> None:
        """Take one exceptional request into the columns (call `sort` afterwards)."""
        maximum = self.plan.routes[self.route].maximum_ms
        due = self.plan.due(self.route, line.number)
        if line.outcome in FAILED:
            self.failed.append(due)
            self.shown[due] = due + min(line.latency_ms, maximum) / 1000
        if line.outcome in EXCLUDED:
            self.excluded.append(due)
        elif line.outcome in FAILED or line.latency_ms > maximum:
            self.slow.append(due)
        if line.outcome in FAILED | EXCLUDED:
            self.unserved_numbers.add(line.number)
        column = {
            Outcome.RATE_LIMITED: self.rate_limited,
            Outcome.CLIENT_ERROR: self.client_errors,
            Outcome.GENERATOR: self.generator,
            Outcome.STALE: self.stale,
        }.get(line.outcome)
        if column is not None:
            column.append(due)

    def sort(self) -> None:
        """Put every column in order of due instants."""
        for column in (self.failed, self.excluded, self.slow, self.rate_limited, self.client_errors, self.generator, self.stale):
            column.sort()

    def due(self, span: Span) -> int:
        """Requests due in the span, before the source stopped."""
        return self.plan.due_in(self.route, self._live(span))

    def counted(self, span: Span) -> int:
        """Requests due in the span that count in rates: all but 4xx, 429 and those our generator could not send."""
        live = self._live(span)
        return max(0, self.plan.due_in(self.route, live) - count_in(self.excluded, live))

    def expected(self, span: Span) -> float:
        """As `counted`, from the rate: a count that does not jump by one with the position of the span."""
        live = self._live(span)
        return max(0.0, self.plan.routes[self.route].rate_per_s * live.length_s - count_in(self.excluded, live))

    def failures(self, span: Span) -> int:
        return count_in(self.failed, self._live(span))

    def next_served(self, after: Instant, before: Instant = math.inf) -> Instant | None:
        """The due instant of the first served request between the instants, or None when none came before the source stopped."""
        number = self.plan.first_at_or_after(self.route, after + HAIR_S)
        end = min(self.end, before - HAIR_S)
        while (due := self.plan.due(self.route, number)) < end:
            if number not in self.unserved_numbers:
                return due
            number += 1
        return None

    def _live(self, span: Span) -> Span:
        return span.clipped(Span(self.plan.start_s, self.end))
