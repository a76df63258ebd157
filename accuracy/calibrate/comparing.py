"""Truth against what the judge found: one row a quantity, then bias, largest error, and whether the goal is met."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any, Literal

from steady_state.verdict import Verdict

Quantity = Literal["recovery", "downtime", "transition", "rate", "verdict"]
TOLERANCES: dict[Quantity, float] = {"recovery": 0.2, "downtime": 0.2, "transition": 0.25, "rate": 1e-6}
"""Seconds, and the last digit of a share that findings show. Source: the issue's goal; rates are exact, see `truth`."""
GOAL = (
    "recovery and downtime within 0.2 s, transitions within 0.25 s, rates exact, "
    "every verdict as the truth demands (a recovery of 119 s passes, of 121 s fails)"
)
UNITS: dict[Quantity, str] = {"recovery": "s", "downtime": "s", "transition": "s", "rate": "ratio"}
_HAIR = 1e-9


@dataclass(frozen=True, slots=True)
class Row:
    """One quantity of one case. `measured` is None where the judge gave no figure; `spoiled` says why it may be tried again."""

    case: str
    what: str
    quantity: Quantity
    truth: float | str
    measured: float | str | None
    because: str = ""
    spoiled: str = ""
    repeated: bool = False

    @property
    def error(self) -> float | None:
        """Measured less truth, in the quantity's unit; None where there is no figure on either side."""
        if isinstance(self.truth, str) or self.measured is None or isinstance(self.measured, str):
            return None
        return self.measured - self.truth

    @property
    def right(self) -> bool:
        if self.spoiled:
            return False
        if self.quantity == "verdict":
            return self.measured == self.truth
        return self.error is not None and abs(self.error) <= TOLERANCES[self.quantity] + _HAIR

    @property
    def judged(self) -> str:
        """`right`, `wrong`, or `inconclusive` where the machine spoiled it."""
        return "inconclusive" if self.spoiled else "right" if self.right else "wrong"

    def document(self) -> dict[str, Any]:
        """Plain JSON."""
        error = self.error
        return asdict(self) | {"error": None if error is None else round(error, 6), "judged": self.judged}


@dataclass(frozen=True, slots=True)
class Accuracy:
    """All errors of one quantity. `largest` is the largest absolute error."""

    quantity: Quantity
    count: int
    bias: float
    largest: float
    tolerance: float

    def words(self) -> str:
        unit = f" {UNITS[self.quantity]}" if UNITS[self.quantity] == "s" else ""
        return f"{self.quantity}: n {self.count}, bias {self.bias:+.3f}{unit}, largest error {self.largest:.3f}{unit}"


def accuracies(rows: Sequence[Row]) -> list[Accuracy]:
    """Bias and largest error of each quantity that has a figure; spoiled rows are left out."""
    found: list[Accuracy] = []
    for quantity, tolerance in TOLERANCES.items():
        errors = [row.error for row in rows if row.quantity == quantity and not row.spoiled and row.error is not None]
        if errors:
            found.append(Accuracy(quantity, len(errors), fmean(errors), max(map(abs, errors)), tolerance))
    return found


def met(rows: Sequence[Row]) -> bool:
    """Whether every row is right; nothing measured is nothing proved."""
    return bool(rows) and all(row.right for row in rows)


def figures(rows: Sequence[Row]) -> dict[str, Any]:
    """The few numbers of the result."""
    verdicts = [row for row in rows if row.quantity == "verdict"]
    near = [row for row in verdicts if row.what == "recovery_time" and row.case.endswith(("-119s", "-121s"))]
    return {
        **{one.quantity: {"n": one.count, "bias": round(one.bias, 6), "largest_error": round(one.largest, 6)} for one in accuracies(rows)},
        "verdicts": {"n": len(verdicts), "right": sum(row.right for row in verdicts)},
        "around_120_s": {"n": len(near), "right": sum(row.right for row in near)},
        "cases": len({row.case for row in rows}),
        "wrong": sum(row.judged == "wrong" for row in rows),
        "inconclusive": sum(row.judged == "inconclusive" for row in rows),
        "repeated_cases": sorted({row.case for row in rows if row.repeated}),
    }


def summary(rows: Sequence[Row]) -> str:
    """The figure: one line."""
    numbers = figures(rows)
    near, verdicts = numbers["around_120_s"], numbers["verdicts"]
    parts = [one.words() for one in accuracies(rows)]
    parts.append(f"verdicts {verdicts['right']}/{verdicts['n']} right, around 120 s {near['right']}/{near['n']}")
    parts.append(f"{numbers['wrong']} wrong, {numbers['inconclusive']} inconclusive")
    return f"calibration {'met' if met(rows) else 'NOT met'}: {'; '.join(parts)}"


def verdict_row(case: str, criterion: str, expected: Verdict, found: Verdict, because: str) -> Row:
    """A verdict against the one that the truth demands."""
    spoiled = because if found is Verdict.INCONCLUSIVE else ""
    return Row(case, criterion, "verdict", expected.value, found.value, because, spoiled)
