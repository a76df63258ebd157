"""What came of the rows: caught or not, stray cells, sensitivity, and whether the goal is met."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from accuracy.matrix.comparison import Held, Turned
from accuracy.matrix.rows import Row
from accuracy.results import Results

GOAL = "every flaw and every sabotage turns its cell, every control turns none, and there is no stray cell"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One row measured. `held` is None where there was no report; `problem` then says why, `toppled` that it was the sandbox.

    `done` is what the harm did, `notes` say what was done twice, `run` is the folder that is kept where it was not as declared.
    """

    row: Row
    held: Held | None
    problem: str = ""
    toppled: bool = False
    done: str = ""
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    run: str = ""

    @property
    def caught(self) -> bool:
        return self.held is not None and self.held.caught

    @property
    def stray(self) -> tuple[Turned, ...]:
        return () if self.held is None else self.held.stray

    @property
    def good(self) -> bool:
        return self.held is not None and self.held.good

    def words(self) -> str:
        """What turned, in one line."""
        if self.held is None:
            return f"no result: {self.problem}"
        cell = f"{self.row.cell} {self.held.verdict or 'is not in the report'}" if self.row.cell else "nothing must turn"
        expected = "" if self.held.caught else f", expected {' because: '.join(filter(None, (self.row.expected, self.row.reason)))}"
        followed = f"; {len(self.held.followed)} followed" if self.held.followed else ""
        stray = "; stray: " + ", ".join(f"{one.cell} {one.verdict}" for one in self.stray) if self.stray else ""
        return f"{cell}{expected}{followed}{stray}"


@dataclass(frozen=True, slots=True)
class Summary:
    """The figures of all rows. Controls have no cell to catch: they are quiet or not."""

    outcomes: Sequence[Outcome]
    planned: int
    interrupted: bool = False

    @property
    def sought(self) -> list[Outcome]:
        return [one for one in self.outcomes if one.row.kind != "control"]

    @property
    def caught(self) -> int:
        return sum(one.caught for one in self.sought)

    @property
    def stray(self) -> list[tuple[Row, Turned]]:
        return [(one.row, turned) for one in self.outcomes for turned in one.stray]

    @property
    def met(self) -> bool:
        return not self.interrupted and len(self.outcomes) == self.planned > 0 and all(one.good for one in self.outcomes)

    def last_line(self) -> str:
        """The figure of the program."""
        cells = "1 stray cell" if len(self.stray) == 1 else f"{len(self.stray)} stray cells"
        line = f"matrix: {self.caught} of {len(self.sought)} caught, {cells}"
        return f"{line} (interrupted after {len(self.outcomes)} of {self.planned} rows)" if self.interrupted else line

    def controls_line(self) -> str:
        """How many negative controls turned nothing; empty where there was none."""
        controls = [one for one in self.outcomes if one.row.kind == "control"]
        return f"negative controls that turned nothing: {sum(one.good for one in controls)} of {len(controls)}" if controls else ""


def as_results(summary: Summary, *, whole: bool) -> Results:
    """The document for `results/matrix.json`; of some rows only it is another, so that it never stands for all of them."""
    controls = [one for one in summary.outcomes if one.row.kind == "control"]
    figures = {
        "caught": summary.caught,
        "of": len(summary.sought),
        "stray_cells": len(summary.stray),
        "controls_quiet": sum(one.good for one in controls),
        "controls": len(controls),
        "rows_planned": summary.planned,
        "rows_measured": len(summary.outcomes),
        "repeated": sum(bool(one.notes) for one in summary.outcomes),
        "interrupted": summary.interrupted,
    }
    return Results("matrix" if whole else "matrix-part", GOAL, summary.met, figures, [_row(one) for one in summary.outcomes])


def _row(outcome: Outcome) -> dict[str, Any]:
    row, held = outcome.row, outcome.held
    return {
        "name": row.name,
        "kind": row.kind,
        "summary": row.summary,
        "experiment": row.experiment,
        "cell": None if row.cell is None else {"fault": row.cell.fault, "criterion": row.cell.criterion},
        "expected": row.expected or None,
        "verdict": None if held is None else held.verdict or None,
        "because": None if held is None else held.because or None,
        "caught": outcome.caught,
        "followed": [] if held is None else [_turned(one) for one in held.followed],
        "stray": [_turned(one) for one in outcome.stray],
        "problem": outcome.problem,
        "done": outcome.done,
        "notes": list(outcome.notes),
        "seconds": round(outcome.seconds, 1),
        "run": outcome.run,
    }


def _turned(one: Turned) -> dict[str, str]:
    return {"fault": one.cell.fault, "criterion": one.cell.criterion, "verdict": one.verdict, "because": one.because}
