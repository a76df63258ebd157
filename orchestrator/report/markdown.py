"""`report.md`: the verdict for a CI summary, as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable

from orchestrator.report.explanations import Explanations
from orchestrator.report.view import Grid, grid, not_applicable, troubles, unproven
from orchestrator.report.words import SYMBOLS, Cell, Report, figure, heading, numbers, printable, request, stretch

_SPECIAL = re.compile(r"([\\`*_\[\]|#~$@])")
_EVIDENCE = 5


def markdown(report: Report, reasons: Explanations) -> str:
    """Trial sentence, verdict, grid, and the reason of each cell that is not PASS."""
    paragraphs = [
        *([f"> **{_text(report['trial'])}**"] if report["trial"] else []),
        f"# {SYMBOLS[report['verdict']]} {report['verdict']}: {_text(report['title'])}",
        f"{_counts(report)}. Run {_text(report['run'])}, target {_text(report['target'])}, criteria {_text(report['criteria_set'])}.",
        *(f"**{_text(sentence)}**" for sentence in troubles(report)),
        _table(grid(report)),
    ]
    cells = unproven(report)
    if cells:
        paragraphs += ["## Why", *(_reason(report, cell) for cell in cells)]
        paragraphs += _first(dict.fromkeys(cell["fault"] for cell in cells), reasons)
    if left_out := not_applicable(report):
        paragraphs.append("\n".join(f"- – {_name(cell)} does not apply: {_text(cell['because'])}" for cell in left_out))
    return "\n\n".join(paragraphs) + "\n"


def _text(text: str) -> str:
    """One line in which nothing is markup."""
    flat = " ".join(printable(text).split())
    escaped = _SPECIAL.sub(r"\\\1", flat)
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _counts(report: Report) -> str:
    return ", ".join(f"{count} {verdict}" for verdict, count in sorted(report["counts"].items()))


def _table(view: Grid) -> str:
    rows = [["fault", *(heading(criterion) for criterion in view.criteria)], ["---"] * (len(view.criteria) + 1)]
    for fault, cells in view.rows.items():
        rows.append([_text(fault), *(_cell(cells.get(criterion)) for criterion in view.criteria)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _cell(cell: Cell | None) -> str:
    if cell is None:
        return ""
    if cell["verdict"] is None:
        return SYMBOLS[None]
    word = cell["verdict"] if cell["verdict"] == "PASS" else f"**{cell['verdict']}**"
    return f"{SYMBOLS[cell['verdict']]} {word} {figure(cell['measured'], cell['unit'])}".rstrip()


def _name(cell: Cell) -> str:
    return f"{_text(cell['fault'])} × {_text(cell['criterion'])}"


def _reason(report: Report, cell: Cell) -> str:
    lines = [f"- {SYMBOLS[cell['verdict']]} **{cell['verdict']} {_name(cell)}**: {_text(cell['because'])}"]
    about = "; ".join(part for part in (numbers(cell), stretch(report, cell["window"])) if part)
    lines += [f"  - {_text(line)}" for line in (about, *cell["evidence"][:_EVIDENCE]) if line]
    if len(cell["evidence"]) > _EVIDENCE:
        lines.append(f"  - and {len(cell['evidence']) - _EVIDENCE} more in report.json")
    return "\n".join(lines)


def _first(faults: Iterable[str], reasons: Explanations) -> list[str]:
    """The first failing request of each fault that has something to explain."""
    lines = []
    for fault in faults:
        reason = reasons.get(fault)
        if reason is not None and reason.first is not None:
            lines.append(f"- {_text(fault)}: {_text(request(dict(reason.first)))}{_healthy(reason.last_healthy_s)}")
    return ["## First failing requests", "\n".join(lines)] if lines else []


def _healthy(second: int | None) -> str:
    return "" if second is None else f"; last healthy second: {second}"
