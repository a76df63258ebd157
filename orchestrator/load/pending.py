"""A request that is due and has no outcome yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.load.tally import Row

if TYPE_CHECKING:
    from orchestrator.load.connection import Connection


class Pending:
    """`due_s` and `sent_s` are instants; `stalled_s` is what the generator had lost to its own stalls when it was sent."""

    __slots__ = ("connection", "done", "due_s", "number", "route", "row", "sent_s", "stalled_s")

    def __init__(self, route: int, number: int, due_s: float, row: Row) -> None:
        self.route = route
        self.number = number
        self.due_s = due_s
        self.row = row
        self.sent_s = due_s
        self.stalled_s = 0.0
        self.connection: Connection | None = None
        self.done = False
