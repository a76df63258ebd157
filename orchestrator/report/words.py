"""How verdicts, figures and instants read: the words that all reports share."""

from __future__ import annotations

import re
from typing import Any

Report = dict[str, Any]
"""The content of `report.json`."""

Cell = dict[str, Any]

SYMBOLS = {"PASS": "✓", "FAIL": "✗", "INCONCLUSIVE": "?", None: "–"}
"""A verdict is never told by colour alone."""

HEADINGS = {
    "zero_downtime": "downtime",
    "recovery_time": "recovery",
    "breakers": "breakers",
    "degradation": "degraded",
    "error_rate_during": "errors during",
    "error_rate_after": "errors after",
    "delivery": "delivery",
    "refill": "refill",
    "amplification": "calls",
    "state_kept": "new 4xx",
    "validity": "validity",
}
"""Criteria as narrow column headings."""

MOST_REASON, MOST_DETAIL = 500, 200
"""Characters of a reason and of an answer's body that fit where a result explains itself; `report.json` has them whole."""

_UNPRINTABLE = re.compile("[^\t\n\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def printable(text: str) -> str:
    """The text without control characters, which XML forbids and which a terminal would obey."""
    return _UNPRINTABLE.sub("�", text.replace("\r\n", "\n"))


def clipped(text: str, most: int) -> str:
    """The text, or its beginning and a mark."""
    return text if len(text) <= most else f"{text[:most].rstrip()} … (cut)"


def heading(criterion: str) -> str:
    return HEADINGS.get(criterion, criterion.replace("_", " "))


def figure(value: float | None, unit: str) -> str:
    """A measured value or a limit with its unit; empty when there is none."""
    if value is None:
        return ""
    if unit == "ratio":
        return f"{100 * value:.2f}".rstrip("0").rstrip(".") + "%"
    if unit == "s" and 0 < value < 0.1:
        return f"{1000 * value:.0f} ms"
    return f"{value:.1f} {unit}".rstrip()


def limit(cell: Cell) -> str:
    """The cell's limit; empty when it has none."""
    value = cell.get("limit")
    if value is None:
        return ""
    return f"{100 * value:g}%" if cell["unit"] == "ratio" else f"{value:g} {cell['unit']}".rstrip()


def numbers(cell: Cell) -> str:
    """Measured value, limit and sample count of a cell in one phrase; empty when it has none."""
    parts = [
        f"measured {figure(cell['measured'], cell['unit'])}" if cell.get("measured") is not None else "",
        f"limit {limit(cell)}" if cell.get("limit") is not None else "",
        f"n = {cell['n']:,}" if cell.get("n") is not None else "",
    ]
    return ", ".join(part for part in parts if part)


def stretch(report: Report, window: list[float] | None) -> str:
    """A window in seconds from minute 0 and in minutes of the hour."""
    if window is None:
        return ""
    start, end = window
    return f"{start:.1f} s to {end:.1f} s (minute {minute(report, start):.1f} to {minute(report, end):.1f})"


def minute(report: Report, seconds: float) -> float:
    """Seconds from minute 0 as a minute of the unscaled hour."""
    return float(seconds * report["scale"]["time"] / 60)


def request(failure: dict[str, Any]) -> str:
    """A failing request in one line: when, which, how it ended, who answered, what it said."""
    status = f" {failure['status']}" if failure["status"] else ""
    served_by = f" from {failure['served_by']}" if failure["served_by"] else ""
    detail = f": {clipped(failure['detail'], MOST_DETAIL)}" if failure["detail"] else ""
    return f"{failure['t']:.3f} s, {failure['source']}, {failure['route']}: {failure['outcome']}{status}{served_by}{detail}"
