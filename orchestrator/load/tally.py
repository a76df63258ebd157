"""Counts per second of due instants: a row is written once, when each of its requests has its outcome."""

from __future__ import annotations

from collections.abc import Callable

from steady_state.latency import bucket_index
from steady_state.load_plan import LoadPlan
from steady_state.observations import RouteTally, TallyLine
from steady_state.outcomes import SERVED, Outcome


class RouteRow:
    """One route in one second."""

    __slots__ = ("counts", "due", "latency")

    def __init__(self) -> None:
        self.due = 0
        self.counts: dict[Outcome, int] = {}
        self.latency: dict[int, int] = {}

    def tally(self) -> RouteTally:
        return RouteTally(due=self.due, counts=self.counts, latency=sorted(self.latency.items()))


class Row:
    """One second of a source. `end_s` is the instant at which the next one starts."""

    __slots__ = ("closed", "end_s", "lag_max_s", "lagged", "open", "routes", "second")

    def __init__(self, second: int, end_s: float, routes: int) -> None:
        self.second = second
        self.end_s = end_s
        self.routes = [RouteRow() for _ in range(routes)]
        self.open = 0
        self.closed = False
        self.lagged = 0
        self.lag_max_s = 0.0


class Tally:
    """The rows that are not final yet; final ones go to `write`."""

    def __init__(self, plan: LoadPlan, worker: int, write: Callable[[TallyLine], None]) -> None:
        self._source = plan.source
        self._routes = list(plan.routes)
        self._start_s = plan.start_s
        self._worker = worker
        self._write = write
        self.current = self._row(0)

    def _row(self, second: int) -> Row:
        return Row(second, self._start_s + (second + 1), len(self._routes))

    def advance(self, now: float) -> None:
        """Nothing more is due in the current second; start the next one."""
        finished, self.current = self.current, self._row(self.current.second + 1)
        finished.closed = True
        self._write_if_final(finished, now)

    def close(self, now: float) -> None:
        """Nothing more is due at all."""
        self.current.closed = True
        self._write_if_final(self.current, now)

    def due(self, route: int) -> Row:
        """Count a request that is due now; the row is its home until its outcome."""
        row = self.current
        row.open += 1
        row.routes[route].due += 1
        return row

    def finished(self, row: Row, route: int, outcome: Outcome, latency_s: float, now: float) -> None:
        """Count a request's outcome."""
        cell = row.routes[route]
        cell.counts[outcome] = cell.counts.get(outcome, 0) + 1
        if outcome in SERVED:
            index = bucket_index(int(latency_s * 1e6))
            cell.latency[index] = cell.latency.get(index, 0) + 1
        row.open -= 1
        self._write_if_final(row, now)

    def _write_if_final(self, row: Row, now: float) -> None:
        if not row.closed or row.open:
            return
        routes = {name: cell.tally() for name, cell in zip(self._routes, row.routes, strict=True)}
        self._write(
            TallyLine(
                t=now,
                source=self._source,
                second=row.second,
                routes=routes,
                lagged=row.lagged,
                lag_max_ms=round(row.lag_max_s * 1000, 3),
                workers=(self._worker,),
            )
        )
