"""A report held against its row: which cell turned, which followed, which should not have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from accuracy.matrix.rows import CellName, Row

OUR_TROUBLE = (
    "generator-limited",
    "without a record of source",
    "of the planned load was sent",
    "saw nothing of",
    "was silent for",
    "gave no sign of life",
    "away from its instant",
    "had no time to spare",
)
"""The judge's words for what a busy machine does to our own generator, samplers and clock.

Source: steady_state/blindness.py, steady_state/starvation.py and steady_state/criteria/validity.py.
"""


REASON_LENGTH = 300
"""Characters of a reason that are kept: a stalled API server alone has forty gaps. The run's report has them all."""


@dataclass(frozen=True, slots=True)
class Turned:
    """A cell that is not PASS, with the judge's reason."""

    cell: CellName
    verdict: str
    because: str


@dataclass(frozen=True, slots=True)
class Held:
    """What one report says about its row. `verdict` and `because` are those of the row's cell, "" where the report has no such cell.

    `ours`: what is not as declared was left open by our own generator or samplers, or the run was refused before it began.
    """

    verdict: str
    because: str
    caught: bool
    followed: tuple[Turned, ...]
    stray: tuple[Turned, ...]
    ours: bool

    @property
    def good(self) -> bool:
        """The cell turned as declared, and no stray one with it."""
        return self.caught and not self.stray


def held_against(row: Row, report: Mapping[str, Any]) -> Held:
    """Compare a `report.json` with what the row declares. A cell that does not apply has no verdict and turned nothing."""
    turned = [
        Turned(CellName(cell["fault"], cell["criterion"]), cell["verdict"], cell["because"])
        for cell in report["cells"]
        if cell["verdict"] not in ("PASS", None)
    ]
    verdict, because = _said_of(row.cell, report)
    own = [one for one in turned if one.cell == row.cell and one.verdict != row.expected]
    others = [one for one in turned if one.cell != row.cell]
    stray = tuple(one for one in others if one.cell not in row.may_follow or (row.blameless and one.verdict == "FAIL"))
    return Held(
        verdict=verdict,
        because=_short(because),
        caught=verdict == row.expected and row.reason in because,
        followed=tuple(_shortened(one) for one in others if one not in stray),
        stray=tuple(map(_shortened, stray)),
        ours=report["ended"]["how"] == "refused" or any(_by_our_trouble(one) for one in (*own, *stray)),
    )


def _said_of(name: CellName | None, report: Mapping[str, Any]) -> tuple[str, str]:
    """Verdict and reason of the row's own cell, empty where there is none."""
    found = (cell for cell in report["cells"] if name == CellName(cell["fault"], cell["criterion"]))
    cell = next(found, None)
    return ("", "") if cell is None else (cell["verdict"] or "", cell["because"])


def _shortened(one: Turned) -> Turned:
    return replace(one, because=_short(one.because))


def _short(text: str) -> str:
    return text if len(text) <= REASON_LENGTH else f"{text[:REASON_LENGTH]}..."


def _by_our_trouble(turned: Turned) -> bool:
    """Whether our own generator or samplers left a cell open."""
    return turned.verdict == "INCONCLUSIVE" and any(words in turned.because for words in OUR_TROUBLE)
