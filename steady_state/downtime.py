"""Downtime intervals: rows of requests on one route of which none was served (design 6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from steady_state.instants import Instant, Span
from steady_state.traffic import RouteTraffic

if TYPE_CHECKING:
    from steady_state.history import History


@dataclass(frozen=True, slots=True)
class Downtime:
    """From the due instant of the first unserved to the due instant of the next served request (or the end)."""

    route: str
    span: Span
    requests: int
    open: bool
    begun: Instant
    """When its first failure began to show, which decides the window that answers for it: a request that was under way when a
    fault was injected was due before that."""


def downtimes(history: History, span: Span) -> list[Downtime]:
    """Downtime intervals that begin in the span, on every user-visible route, load and outside probe together.

    One that began before minute 0 begins at minute 0: no earlier window could answer for the rest of it.
    """
    return [row for row in history.downtimes if span.contains(_begin(history, row))]


def _begin(history: History, row: Downtime) -> Instant:
    crosses = history.started and row.begun < history.timeline < row.span.end
    return history.timeline if crosses else row.begun


def rows(sources: list[RouteTraffic], route: str, at_least: int) -> list[Downtime]:
    """Maximal rows of failed requests of a route without a served one between them, in any of its sources."""
    failed = sorted(due for source in sources for due in source.failed)
    return [_interval(sources, route, row) for row in _unserved(sources, failed) if len(row) >= at_least]


def refused(sources: list[RouteTraffic], at_least: int) -> list[Span]:
    """As `rows`, of requests that were refused (4xx, 429): nobody was served there, and it may not be the platform's doing."""
    due = sorted(due for source in sources for due in source.excluded)
    return [Span(row[0], _end(sources, _next_served(sources, row))) for row in _unserved(sources, due) if len(row) >= at_least]


def _unserved(sources: list[RouteTraffic], instants: list[Instant]) -> list[list[Instant]]:
    """The instants in rows without a served request between two of them."""
    found: list[list[Instant]] = []
    for due in instants:
        if found and all(source.next_served(found[-1][-1], due) is None for source in sources):
            found[-1].append(due)
        else:
            found.append([due])
    return found


def _next_served(sources: list[RouteTraffic], row: list[Instant]) -> Instant | None:
    """The due instant of the first served request after the row, None where there is none until the end of the record."""
    return min((due for source in sources if (due := source.next_served(row[-1])) is not None), default=None)


def _end(sources: list[RouteTraffic], served: Instant | None) -> Instant:
    return max(source.end for source in sources) if served is None else served


def _interval(sources: list[RouteTraffic], route: str, row: list[Instant]) -> Downtime:
    served = _next_served(sources, row)
    begun = min(source.shown[row[0]] for source in sources if row[0] in source.shown)
    return Downtime(route, Span(row[0], _end(sources, served)), len(row), served is None, begun)
