"""The settled stretch: the first seconds after a fault's end in which everything is as it should be (design 6)."""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass
from itertools import chain

from steady_state.history import History
from steady_state.instants import HAIR_S, Instant, Span
from steady_state.traffic import RouteTraffic, count_in
from steady_state.violations import breaker_violations, replica_violations

COUNTED_SHARE = 0.5
"""Of what was due in a stretch so many must count (4xx, 429 and what we did not send do not), or as many as a rate needs anywhere else."""


def first_settled(history: History, span: Span) -> Span | None:
    """The earliest stretch of `settled_s` inside the span with error rate, latency, replicas and breakers as they should be."""
    search = _Search(history, span, _shortages(history, span))
    earliest = span.start
    for start in search.starts():
        stretch = Span(start, start + history.limits.settled_s)
        if stretch.end > span.end + HAIR_S:
            return None
        if start < earliest:
            continue
        earliest = search.not_before(stretch)
        if earliest <= start:
            return stretch
    return None


def undecided_by_latency(history: History, stretch: Span, limit: Instant) -> list[str]:
    """Routes with too few samples for a 95th percentile, even in the stretch grown as far as it may (design 6)."""
    return [
        route.route
        for route in history.clocked()
        if route.expected(_grown(history, route, stretch, limit)) < history.limits.settled_samples - HAIR_S
    ]


def _shortages(history: History, span: Span) -> list[Span]:
    return [violation.span for violation in replica_violations(history, span) + breaker_violations(history, span)]


@dataclass(frozen=True, slots=True)
class _Search:
    """What the search looks at. Instants of the load are only compared as counts, shares and candidates."""

    history: History
    span: Span
    shortages: list[Span]

    def starts(self) -> list[Instant]:
        """Candidates in order.

        Things get better only where a failed, slow or uncounted request or a shortage is left behind, or where a route's
        stretch, cut short by the end of the span, becomes too small to be judged: only those instants are tried.
        """
        limits = self.history.limits
        starts = {self.span.start} | {short.end for short in self.shortages if short.end > self.span.start}
        for route in self.history.clocked():
            for column in (route.failed, route.slow, route.excluded):
                starts |= {due + HAIR_S for due in _inside(column, self.span)}
            starts.add(self.span.end - limits.settled_samples / route.plan.routes[route.route].rate_per_s + HAIR_S)
        return sorted(start for start in starts if start >= self.span.start)

    def not_before(self, stretch: Span) -> Instant:
        """The stretch's own start when it is settled, else an instant before which no stretch can be."""
        blocking = [short.end for short in self.shortages if short.overlaps(stretch)]
        return max([stretch.start, *blocking, self._errors(stretch), *(self._latency(route, stretch) for route in self.history.clocked())])

    def _errors(self, stretch: Span) -> Instant:
        """The error rate over all routes must be below its limit, of requests of which enough count."""
        load, limits = self.history.clocked(), self.history.limits
        counted = sum(route.expected(stretch) for route in load)
        failed = sum(route.failures(stretch) for route in load)
        most = sum(route.plan.routes[route.route].rate_per_s for route in load) * stretch.length_s
        if counted <= 0 or counted < min(limits.samples_during, COUNTED_SHARE * most):
            return stretch.start + HAIR_S
        ratio = limits.error_ratio_after
        if failed < ratio * counted - HAIR_S:
            return stretch.start
        allowed = max(0, math.ceil(ratio * most - HAIR_S) - 1)
        return _left_behind(sorted(chain.from_iterable(_inside(route.failed, stretch) for route in load)), failed - allowed, stretch)

    def _latency(self, route: RouteTraffic, stretch: Span) -> Instant:
        """p95 within the route's maximum: at most 5 % of its requests above it. Too few samples decide nothing."""
        limits = self.history.limits
        grown = _grown(self.history, route, stretch, self.span.end)
        counted, slow = route.expected(grown), count_in(route.slow, grown)
        if counted < limits.settled_samples - HAIR_S or slow <= limits.slow_ratio * counted + HAIR_S:
            return stretch.start
        rate_per_s = route.plan.routes[route.route].rate_per_s
        allowed = math.floor(limits.slow_ratio * rate_per_s * grown.length_s + HAIR_S)
        too_few_from = self.span.end - limits.settled_samples / rate_per_s + HAIR_S
        left = _left_behind(_inside(route.slow, grown), slow - allowed, stretch)
        return left if too_few_from <= stretch.start else min(left, too_few_from)


def _grown(history: History, route: RouteTraffic, stretch: Span, limit: Instant) -> Span:
    """The stretch, grown until it holds enough samples of the route, at most to `settled_grown_s` and to the limit."""
    limits = history.limits
    needed = limits.settled_samples / route.plan.routes[route.route].rate_per_s
    length = max(stretch.length_s, min(limits.settled_grown_s, needed))
    return Span(stretch.start, min(stretch.start + length, max(limit, stretch.end)))


def _left_behind(instants: list[Instant], surplus: int, stretch: Span) -> Instant:
    """Just after the surplus-th of the sorted instants: a stretch that starts earlier holds too many of them."""
    return max(instants[max(1, min(surplus, len(instants))) - 1], stretch.start) + HAIR_S


def _inside(instants: list[Instant], span: Span) -> list[Instant]:
    return instants[bisect_left(instants, span.start) : bisect_left(instants, span.end)]
