"""A row of the matrix: what is planted or done, the cell that it must turn, and the cells that may follow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from accuracy.matrix.harms import Around
from accuracy.matrix.reasons import REASONS

Kind = Literal["flaw", "sabotage", "control"]


@dataclass(frozen=True, slots=True, order=True)
class CellName:
    """One cell of a report."""

    fault: str
    criterion: str

    def __str__(self) -> str:
        return f"{self.fault} x {self.criterion}"


@dataclass(frozen=True, slots=True)
class Row:
    """One trial. `flaws` are planted before the run, `harm` is done to it from outside; a control must turn no cell at all.

    `reason`: words that the cell's reason must hold, so that it did not turn for another one.
    `blameless`: the platform does nothing wrong in this row, so a follower that says FAIL is stray.
    """

    name: str
    kind: Kind
    summary: str
    experiment: str
    cell: CellName | None = None
    expected: str = ""
    reason: str = ""
    may_follow: frozenset[CellName] = frozenset()
    flaws: tuple[str, ...] = ()
    harm: Around | None = None
    blameless: bool = False


class UnknownRowError(Exception):
    """No row has this name; the text lists those that there are."""


def flaw_row(flaw: Mapping[str, Any]) -> Row:
    """The row of one flaw as `sandbox flaws --json` tells it."""
    return Row(
        name=str(flaw["name"]),
        kind="flaw",
        summary=str(flaw["summary"]),
        experiment=str(flaw["experiment"]),
        cell=CellName(str(flaw["fault"]), str(flaw["criterion"])),
        expected=str(flaw["expected"]),
        reason=REASONS.get(str(flaw["name"]), ""),
        may_follow=frozenset(CellName(str(one["fault"]), str(one["criterion"])) for one in flaw["may_follow"]),
        flaws=(str(flaw["name"]),),
    )


def chosen(rows: Sequence[Row], names: Iterable[str]) -> list[Row]:
    """The rows of these names, in the order of the matrix; all when no name is given. Raises UnknownRowError."""
    wanted = set(names)
    unknown = sorted(wanted - {row.name for row in rows})
    if unknown:
        raise UnknownRowError(f"no row is called {unknown[0]!r}; these are known: {', '.join(row.name for row in rows)}")
    return [row for row in rows if not wanted or row.name in wanted]
