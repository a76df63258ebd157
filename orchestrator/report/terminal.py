"""The verdict grid for a terminal, the reasons of every cell that is not PASS, and what the run could have seen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from orchestrator.report import view
from orchestrator.report.power_words import power_sentences
from orchestrator.report.sheet import STYLES, WIDTH, sheet
from orchestrator.report.words import MOST_REASON, SYMBOLS, Cell, Report, clipped, figure, heading, printable, request

SHORT = {"PASS": "PASS", "FAIL": "FAIL", "INCONCLUSIVE": "INCONCL."}
COLUMNS = 7
"""So many criteria stand side by side in `WIDTH` characters with every verdict whole; more go on below."""


def grid(report: Report, *, width: int = WIDTH, colour: bool | None = None) -> str:
    """Rows are faults, columns criteria. Colours follow the terminal (and NO_COLOR) unless told."""
    title = f"{SYMBOLS[report['verdict']]} {report['verdict']}: {printable(report['title'])}"
    above = ([report["trial"]] if report["trial"] else []) + view.troubles(report)
    parts: list[RenderableType] = [*(Text(printable(sentence), style="bold") for sentence in above), Text(title, style="bold")]
    for table in _tables(report):
        parts += ["", table]
    parts += ["", *_reasons(report), *(Text(printable(sentence), style="dim") for sentence in power_sentences(report))]
    return sheet(parts, width=width, colour=colour)


def _tables(report: Report) -> Iterator[Table]:
    """As many as it takes for all criteria, evenly filled."""
    shown = view.grid(report)
    count = max(1, -(-len(shown.criteria) // COLUMNS))
    size = -(-len(shown.criteria) // count)
    for start in range(0, max(1, len(shown.criteria)), max(1, size)):
        yield _table(shown, shown.criteria[start : start + size])


def _table(shown: view.Grid, criteria: Sequence[str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, collapse_padding=True, pad_edge=False, show_edge=False)
    table.add_column("fault", no_wrap=True, max_width=24)
    for criterion in criteria:
        table.add_column(heading(criterion))
    for fault, cells in shown.rows.items():
        if any(criterion in cells for criterion in criteria):
            table.add_row(Text(printable(fault)), *(_cell(cells.get(criterion)) for criterion in criteria))
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
    if found:
        lines.append(Text(f"Each explained on one screen: orchestrator explain runs/{printable(report['run'])}"))
    return lines


def _names(same: list[Cell]) -> str:
    return f"{same[0]['fault']} x {', '.join(cell['criterion'] for cell in same)}"


def _windows(report: Report) -> dict[str, tuple[float, float]]:
    """Baseline and each injected fault: from its injection to the next, seconds from minute 0."""
    starts = [("baseline", 0.0)] + [(fault["name"], fault["injected"]) for fault in report["faults"] if fault["injected"] is not None]
    ends = [start for _, start in starts[1:]] + [float("inf")]
    return {name: (start, end) for (name, start), end in zip(starts, ends, strict=True)}
