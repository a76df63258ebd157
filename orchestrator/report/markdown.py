"""`report.md`: the verdict for a CI summary, as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable

from orchestrator.report import view
from orchestrator.report.explanations import Explanations
from orchestrator.report.power_words import power_sentences
from orchestrator.report.words import MOST_REASON, SYMBOLS, Cell, Report, clipped, figure, heading, numbers, printable, request, stretch

_SPECIAL = re.compile(r"([\\`*_\[\]|#~$@])")
_EVIDENCE = 5


def markdown(report: Report, reasons: Explanations) -> str:
    """Trial sentence, verdict, grid, and the reason of each cell that is not PASS."""
    paragraphs = [
        *([f"> **{_text(report['trial'])}**"] if report["trial"] else []),
        f"# {SYMBOLS[report['verdict']]} {report['verdict']}: {_text(report['title'])}",
        f"{_counts(report)}. Run {_text(report['run'])}, target {_text(report['target'])}, criteria {_text(report['criteria_set'])}.",
        *(f"**{_text(sentence)}**" for sentence in view.troubles(report)),
        _table(view.grid(report)),
        *(_text(sentence) for sentence in power_sentences(report)),
    ]
    if found := view.reasons(report):
        paragraphs += ["## Why", "\n".join(_reason(report, same) for same in found)]
        paragraphs += _first(dict.fromkeys(same[0]["fault"] for same in found), reasons)
    if left_out := view.not_applicable(report):
        paragraphs.append("\n".join(f"- – {_name([cell])} does not apply: {_text(cell['because'])}" for cell in left_out))
    return "\n\n".join(paragraphs) + "\n"


def _text(text: str) -> str:
    """One line in which nothing is markup."""
    flat = " ".join(printable(text).split())
    escaped = _SPECIAL.sub(r"\\\1", flat)
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _counts(report: Report) -> str:
    return ", ".join(f"{count} {verdict}" for verdict, count in sorted(report["counts"].items()))


def _table(shown: view.Grid) -> str:
    rows = [["fault", *(heading(criterion) for criterion in shown.criteria)], ["---"] * (len(shown.criteria) + 1)]
    for fault, cells in shown.rows.items():
        rows.append([_text(fault), *(_cell(cells.get(criterion)) for criterion in shown.criteria)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _cell(cell: Cell | None) -> str:
    if cell is None:
        return ""
    if cell["verdict"] is None:
        return SYMBOLS[None]
    word = cell["verdict"] if cell["verdict"] == "PASS" else f"**{cell['verdict']}**"
    return f"{SYMBOLS[cell['verdict']]} {word} {figure(cell['measured'], cell['unit'])}".rstrip()


def _name(same: list[Cell]) -> str:
    return f"{_text(same[0]['fault'])} × {', '.join(_text(cell['criterion']) for cell in same)}"


def _reason(report: Report, same: list[Cell]) -> str:
    cell = same[0]
    lines = [f"- {SYMBOLS[cell['verdict']]} **{cell['verdict']} {_name(same)}**: {_text(clipped(cell['because'], MOST_REASON))}"]
    about = "; ".join(part for part in (numbers(cell), stretch(report, cell["window"])) if part)
    more = view.telling(cell)
    lines += [f"  - {_text(line)}" for line in (about, *more[:_EVIDENCE]) if line]
    if len(more) > _EVIDENCE:
        lines.append(f"  - and {len(more) - _EVIDENCE} more in report.json")
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
