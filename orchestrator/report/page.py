"""`report.html`: one file that opens offline, without scripts. What stands in it is text, never markup."""

from __future__ import annotations

from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from orchestrator.report import view, words
from orchestrator.report.explanations import Explanations
from orchestrator.report.glossary import GLOSSARY
from orchestrator.report.power_words import power_sentences, share
from orchestrator.report.words import Cell, Report

EVIDENCE, KINDS = 4, 8
"""As many lines of evidence and kinds of failure as a reason shows at once; all evidence is in the table of all cells."""


def page(report: Report, reasons: Explanations, picture: str) -> str:
    """The whole report. `picture` is an `<svg>` element of ours, or words that say why there is none."""
    # Markup as it is: drawn by us, and matplotlib escapes the names in it.
    drawn = Markup(picture) if picture.startswith("<svg") else picture
    return _template().render(
        report=report,
        grid=view.grid(report),
        troubles=view.troubles(report),
        unproven=_by_fault(report),
        left_out=view.not_applicable(report),
        reasons=reasons,
        picture=drawn,
        measurements=_measurements(report),
        order=view.windows(report),
        changes=_changes(report),
        glossary=GLOSSARY,
        power=power_sentences(report),
        most_evidence=EVIDENCE,
        most_kinds=KINDS,
    )


@cache
def _template() -> Template:
    loader = PackageLoader("orchestrator.report", "")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_without_controls
    )
    environment.globals |= {"symbols": words.SYMBOLS, "figure": words.figure, "limit": words.limit, "heading": words.heading}
    environment.globals |= {
        "numbers": words.numbers,
        "stretch": words.stretch,
        "minute": words.minute,
        "request": words.request,
        "telling": view.telling,
    }
    environment.filters |= {
        "at": _at,
        "short": _short,
        "ms": _ms,
        "percent": _percent,
        "count": _count,
        "share": share,
    }
    return environment.get_template("report.html.j2")


def _without_controls(value: object) -> object:
    return words.printable(value) if type(value) is str else value


def _by_fault(report: Report) -> dict[str, list[list[Cell]]]:
    """Fault -> cells with the same reason; a fault with a FAIL comes before those without."""
    found: dict[str, list[list[Cell]]] = {}
    for same in view.reasons(report):
        found.setdefault(same[0]["fault"], []).append(same)
    return found


def _measurements(report: Report) -> dict[str, Any]:
    """The measured windows in the order of the hour."""
    return {name: report["measurements"][name] for name in view.windows(report) if name in report["measurements"]}


def _changes(report: Report) -> dict[str, list[dict[str, Any]]]:
    """Pod and breaker changes of all windows in one list each, with the window they fell in."""
    return {
        kind: [change | {"window": name} for name, measured in _measurements(report).items() for change in measured[kind]]
        for kind in ("pod_changes", "breaker_changes")
    }


def _at(seconds: float | None) -> str:
    return "never" if seconds is None else f"{seconds:.3f} s"


def _short(text: str) -> str:
    return words.clipped(text, words.MOST_REASON)


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:,.1f}"


def _percent(ratio: float | None) -> str:
    return "–" if ratio is None else f"{100 * ratio:.1f}%"


def _count(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"
