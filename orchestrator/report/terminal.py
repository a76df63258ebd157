"""The verdict grid for a terminal, and the reasons of every cell that is not PASS."""

from __future__ import annotations

import io

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from orchestrator.report import view
from orchestrator.report.words import MOST_REASON, SYMBOLS, Cell, Report, clipped, figure, heading, printable, request

WIDTH = 100
STYLES = {"PASS": "green", "FAIL": "bold white on red", "INCONCLUSIVE": "bold yellow", None: "dim"}
SHORT = {"PASS": "PASS", "FAIL": "FAIL", "INCONCLUSIVE": "INCONCL."}


def grid(report: Report, *, width: int = WIDTH, colour: bool | None = None) -> str:
    """Rows are faults, columns criteria. Colours follow the terminal (and NO_COLOR) unless told."""
    buffer = io.StringIO()
    live = Console()
    coloured = (live.is_terminal and not live.no_color) if colour is None else colour
    console = Console(
        file=buffer, width=width, force_terminal=coloured, no_color=not coloured, color_system="standard" if coloured else None
    )
    for sentence in ([report["trial"]] if report["trial"] else []) + view.troubles(report):
        console.print(Text(printable(sentence), style="bold"))
    title = f"{SYMBOLS[report['verdict']]} {report['verdict']}: {printable(report['title'])}"
    console.print(Text(title, style="bold"), "", _table(report), "", sep="\n")
    for line in _reasons(report):
        console.print(line)
    return "\n".join(line.rstrip() for line in buffer.getvalue().rstrip("\n").split("\n"))


def _table(report: Report) -> Table:
    shown = view.grid(report)
    table = Table(box=box.SIMPLE_HEAD, collapse_padding=True, pad_edge=False, show_edge=False)
    table.add_column("fault", no_wrap=True, max_width=24)
    for criterion in shown.criteria:
        table.add_column(heading(criterion))
    for fault, cells in shown.rows.items():
        table.add_row(Text(printable(fault)), *(_cell(cells.get(criterion)) for criterion in shown.criteria))
    return table


def _cell(cell: Cell | None) -> Text:
    if cell is None:
        return Text("")
    if cell["verdict"] is None:
        return Text(SYMBOLS[None], style=STYLES[None])
    return Text.assemble((SHORT[cell["verdict"]], STYLES[cell["verdict"]]), f" {figure(cell['measured'], cell['unit'])}".rstrip())


def _reasons(report: Report) -> list[Text]:
    """One line a reason, then the first failing request that was kept of each fault with something to explain."""
    found = view.reasons(report)
    lines = [
        Text.assemble(
            (same[0]["verdict"], STYLES[same[0]["verdict"]]), printable(f" {_names(same)}: {clipped(same[0]['because'], MOST_REASON)}")
        )
        for same in found
    ]
    for fault, window in _windows(report).items():
        first = next((one for one in report["first_failures"] if window[0] <= one["t"] < window[1]), None)
        if first is not None and any(same[0]["fault"] == fault for same in found):
            lines.append(Text(printable(f"first failing request of {fault}: {request(first)}")))
    return lines


def _names(same: list[Cell]) -> str:
    return f"{same[0]['fault']} x {', '.join(cell['criterion'] for cell in same)}"


def _windows(report: Report) -> dict[str, tuple[float, float]]:
    """Baseline and each injected fault: from its injection to the next, seconds from minute 0."""
    starts = [("baseline", 0.0)] + [(fault["name"], fault["injected"]) for fault in report["faults"] if fault["injected"] is not None]
    ends = [start for _, start in starts[1:]] + [float("inf")]
    return {name: (start, end) for (name, start), end in zip(starts, ends, strict=True)}
