"""Downtime intervals: rows of requests on one route of which none was served (design 6)."""

from __future__ import annotations

from dataclasses import dataclass

from steady_state.history import History
from steady_state.instants import Instant, Span
from steady_state.traffic import RouteTraffic


@dataclass(frozen=True, slots=True)
class Downtime:
    """From the due instant of the first unserved to the due instant of the next served request (or the end)."""

    route: str
    span: Span
    requests: int
    open: bool


def downtimes(history: History, span: Span) -> list[Downtime]:
    """Downtime intervals whose first request is due in the span, on every user-visible route, load and outside probe together."""
    found: list[Downtime] = []
    for route in history.plan.routes:
        sources = [routes[route] for routes in history.traffic.values() if route in routes]
        if sources:
            found += [row for row in _rows(sources, route, span) if row.requests >= history.limits.downtime_row]
    return sorted(found, key=lambda row: row.span.start)


def _rows(sources: list[RouteTraffic], route: str, span: Span) -> list[Downtime]:
    """Maximal rows of failed requests without a served one between them."""
    failed = sorted(due for source in sources for due in source.failed)
    rows: list[list[Instant]] = []
    for due in failed:
        if rows and not any(source.served_between(rows[-1][-1], due) for source in sources):
            rows[-1].append(due)
        else:
            rows.append([due])
    return [_interval(sources, route, row) for row in rows if span.contains(row[0])]


def _interval(sources: list[RouteTraffic], route: str, row: list[Instant]) -> Downtime:
    served = [due for source in sources if (due := source.next_served(row[-1])) is not None]
    end = min(served) if served else max(source.end for source in sources)
    return Downtime(route, Span(row[0], end), len(row), not served)
