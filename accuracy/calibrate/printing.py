"""The calibration in words: a line a quantity, truth, measured and error side by side."""

from __future__ import annotations

from collections.abc import Sequence

from accuracy.calibrate.cases import Case
from accuracy.calibrate.comparing import UNITS, Row

_FORMAT = "{:<22} {:<18} {:>12} {:>12} {:>9}  {}"


def listing(cases: Sequence[Case]) -> str:
    """Each case with its instants and its truth."""
    lines = [_FORMAT.format("case", "I, H (s)", "downtime", "recovery", "", "verdicts")]
    for case in cases:
        instants = f"{case.at_s:.2f}, {case.healed_s:.2f}"
        verdicts = ", ".join(f"{criterion} {verdict}" for criterion, verdict in case.truth.verdicts.items())
        lines.append(_FORMAT.format(case.name, instants, f"{case.truth.downtime_s:g} s", f"{case.truth.recovery_s:g} s", "", verdicts))
    return "\n".join(lines)


def table(rows: Sequence[Row]) -> str:
    """Every row; what is not right says why."""
    lines = [_FORMAT.format("case", "quantity", "truth", "measured", "error", "")]
    return "\n".join([*lines, *(_line(row) for row in rows)])


def _line(row: Row) -> str:
    error = "" if row.error is None else f"{row.error:+.3f}"
    unit = UNITS.get(row.quantity, "")
    notes = [row.judged.upper() if row.judged != "right" else "", "repeated" if row.repeated else ""]
    notes.append(row.spoiled or row.because if row.judged != "right" else "")
    words = "; ".join(note for note in notes if note)
    return _FORMAT.format(row.case, row.what, _value(row.truth, unit), _value(row.measured, unit), error, words).rstrip()


def _value(value: float | str | None, unit: str) -> str:
    if value is None or isinstance(value, str):
        return value or "none"
    return f"{value:.2%}" if unit == "ratio" else f"{value:.3f} {unit}"
