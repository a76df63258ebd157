"""The verdict grid for a terminal, and the reasons of every cell that is not green."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

STYLES = {"PASS": "green", "FAIL": "bold red", "INCONCLUSIVE": "yellow", None: "dim"}
SHORT = {"PASS": "PASS", "FAIL": "FAIL", "INCONCLUSIVE": "INCONCL.", None: "-"}


def grid(report: dict[str, Any], *, width: int = 140, colour: bool | None = None) -> str:
    """Rows are faults, columns criteria. Colours follow the terminal (and NO_COLOR) unless told."""
    buffer = io.StringIO()
    live = Console()
    console = Console(file=buffer, width=width, force_terminal=live.is_terminal if colour is None else colour, no_color=live.no_color)
    if report["trial"]:
        console.print(report["trial"])
    console.print(_table(report))
    for cell in report["cells"]:
        if cell["verdict"] not in ("PASS", None):
            console.print(
                Text(f"{cell['verdict']}  {cell['fault']} x {cell['criterion']}: {cell['because']}", style=STYLES[cell["verdict"]])
            )
    return buffer.getvalue().rstrip("\n")


def _table(report: dict[str, Any]) -> Table:
    criteria = list(dict.fromkeys(cell["criterion"] for cell in report["cells"] if cell["fault"] != "baseline"))
    table = Table(title=f"{report['title']}: {report['verdict']}", title_justify="left")
    table.add_column("fault")
    for criterion in criteria:
        table.add_column(criterion.replace("_", " "))
    for fault in dict.fromkeys(cell["fault"] for cell in report["cells"]):
        cells = {cell["criterion"]: cell for cell in report["cells"] if cell["fault"] == fault}
        table.add_row(fault, *(_cell(cells.get(criterion)) for criterion in criteria))
    return table


def _cell(cell: dict[str, Any] | None) -> Text:
    if cell is None:
        return Text("")
    return Text(f"{SHORT[cell['verdict']]}{_figure(cell)}", style=STYLES[cell["verdict"]])


def _figure(cell: dict[str, Any]) -> str:
    measured = cell.get("measured")
    if measured is None:
        return ""
    return f" {measured:.2%}" if cell["unit"] == "ratio" else f" {measured:.1f} {cell['unit']}".rstrip()
