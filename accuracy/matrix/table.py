"""The matrix in the terminal: a line a row, then the stray cells."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from accuracy.matrix.outcome import Outcome, Summary


def show(summary: Summary, console: Console) -> None:
    """Print the table, every stray cell with its reason, the rows without a result, and the figures; the last line is the figure."""
    console.print(_table(summary))
    for row, turned in summary.stray:
        console.print(f"stray in {row.name}: {turned.cell} {turned.verdict}: {turned.because}", markup=False, highlight=False)
    for one in summary.outcomes:
        if one.problem:
            console.print(f"no result in {one.row.name}: {one.problem}", markup=False, highlight=False)
    if controls := summary.controls_line():
        console.print(controls, highlight=False)
    if summary.sought:
        console.print(f"sensitivity: {summary.caught}/{len(summary.sought)}", highlight=False)
    console.print(summary.last_line(), highlight=False)


def _table(summary: Summary) -> Table:
    table = Table(title="Planted flaws, sabotages and negative controls")
    for heading in ("row", "kind", "cell that must turn", "expected", "found", "followed", "stray", "seconds"):
        table.add_column(heading, justify="right" if heading in ("followed", "stray", "seconds") else "left")
    for one in summary.outcomes:
        table.add_row(*_cells(one), style=None if one.good else "bold red")
    return table


def _cells(one: Outcome) -> list[str]:
    found = "no result" if one.held is None else one.held.verdict or ("nothing" if one.good else "-")
    return [
        one.row.name,
        one.row.kind,
        str(one.row.cell or "none"),
        one.row.expected or "nothing",
        found,
        str(len(one.held.followed) if one.held else 0),
        str(len(one.stray)),
        f"{one.seconds:.0f}{' *' if one.notes else ''}",
    ]
