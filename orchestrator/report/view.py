"""A report as rows and columns, and what in it must be explained."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.report.words import Cell, Report


@dataclass(frozen=True, slots=True)
class Grid:
    """Criteria across, baseline and faults down; a cell that was never asked for is missing."""

    criteria: list[str]
    rows: dict[str, dict[str, Cell]]


def grid(report: Report) -> Grid:
    """Rows in the order of the hour; columns in the order in which the faults name them."""
    rows: dict[str, dict[str, Cell]] = {}
    for cell in report["cells"]:
        rows.setdefault(cell["fault"], {})[cell["criterion"]] = cell
    ordered = sorted(report["cells"], key=lambda cell: cell["fault"] == "baseline")
    return Grid(list(dict.fromkeys(cell["criterion"] for cell in ordered)), rows)


def unproven(report: Report) -> list[Cell]:
    """The cells that are not PASS, FAIL first, otherwise in the order of the hour."""
    cells = [cell for cell in report["cells"] if cell["verdict"] not in ("PASS", None)]
    return sorted(cells, key=lambda cell: cell["verdict"] != "FAIL")


def reasons(report: Report) -> list[list[Cell]]:
    """The cells that are not PASS, those of one fault that give the same reason together, in the order of `unproven`."""
    together: dict[tuple[str, str, str], list[Cell]] = {}
    for cell in unproven(report):
        together.setdefault((cell["fault"], cell["verdict"], cell["because"]), []).append(cell)
    return list(together.values())


def telling(cell: Cell) -> list[str]:
    """Evidence that says more than the reason did; breakers that stayed closed explain nothing."""
    return beyond(cell["because"], cell["evidence"])


def beyond(because: str, evidence: Iterable[str]) -> list[str]:
    """As `telling`, for a finding."""
    return [line for line in evidence if line not in because and not line.endswith("stayed closed")]


def windows(report: Report) -> list[str]:
    """Baseline and faults in the order of the hour."""
    return ["baseline", *(fault["name"] for fault in report["faults"])]


def not_applicable(report: Report) -> list[Cell]:
    return [cell for cell in report["cells"] if cell["verdict"] is None]


def troubles(report: Report) -> list[str]:
    """What keeps the whole run from proving anything, whatever its cells say."""
    ended = report["ended"]
    sentences = []
    if ended["how"] != "completed":
        reason = f": {ended['reason']}" if ended["reason"] else ""
        sentences.append(f"The run was not completed ({ended['how']}{reason}).")
    if report["lost_lines"]:
        sentences.append(f"Lines of the recording are lost: {'; '.join(report['lost_lines'][:5])}.")
    if not report["faults"]:
        sentences.append("The plan holds no fault, so nothing was proved.")
    return sentences
