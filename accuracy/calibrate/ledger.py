"""What the scripted target did to which request: the truth about rates, request by request."""

from __future__ import annotations

from collections.abc import Collection

import orjson

from accuracy.calibrate.timetable import Action

STALLED_S = 0.05
"""A target held up for longer than this did not keep its timetable; as long as the lag that makes a second generator-limited."""


class Ledger:
    """By route and action the arrival numbers of the load's requests, and when the target was held up."""

    def __init__(self, numbers: dict[str, dict[Action, set[int]]] | None = None, stalls: list[tuple[float, float]] | None = None) -> None:
        self._numbers = {} if numbers is None else numbers
        self._stalls = [] if stalls is None else stalls

    def note(self, route: str, action: Action, request_id: str) -> None:
        """A request met something else than an answer. Ids are `<source>-...-<arrival number>`; only the load's count in rates."""
        if request_id.startswith("load-"):
            self._numbers.setdefault(route, {}).setdefault(action, set()).add(int(request_id.rpartition("-")[2]))

    def note_stall(self, t: float, length_s: float) -> None:
        """The target was held up for so long until `t`."""
        if length_s >= STALLED_S:
            self._stalls.append((t, length_s))

    def numbers(self, route: str, actions: Collection[Action]) -> set[int]:
        """Arrival numbers of the load's requests on the route that met one of the actions."""
        met = self._numbers.get(route, {})
        return set().union(*(met.get(action, ()) for action in actions))

    def stalls(self, start: float, end: float) -> list[tuple[float, float]]:
        """(instant, seconds) of every hold-up in the span of CLOCK_MONOTONIC."""
        return [(t, length_s) for t, length_s in self._stalls if start <= t and t - length_s <= end]

    def text(self) -> str:
        """One line of JSON."""
        numbers = {route: {action: sorted(found) for action, found in met.items()} for route, met in self._numbers.items()}
        return orjson.dumps({"numbers": numbers, "stalls": self._stalls}).decode()


def read_ledger(text: str) -> Ledger:
    """The ledger that `text` wrote. Raises ValueError where it is not JSON."""
    document = orjson.loads(text)
    numbers = {route: {action: set(found) for action, found in met.items()} for route, met in document["numbers"].items()}
    return Ledger(numbers, [(t, length_s) for t, length_s in document["stalls"]])
