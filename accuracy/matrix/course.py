"""The rows one after another on one bench; a run that our own trouble left open is repeated once, and the row says so."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from accuracy.matrix.bench import Bench
from accuracy.matrix.comparison import held_against
from accuracy.matrix.outcome import Outcome
from accuracy.matrix.rows import Row
from accuracy.matrix.trial import Order, TrialError, trial
from accuracy.sandbox import SandboxTrouble

ROOT = Path(__file__).resolve().parents[2]
TRIES = 2


@dataclass(slots=True)
class Course:
    """`outcomes` grows row by row, so that an interruption keeps what was measured. Folders of rows as declared are removed."""

    rows: Sequence[Row]
    bench: Bench
    folder: Path
    say: Callable[[str], None]
    outcomes: list[Outcome] = field(default_factory=list)

    async def run(self) -> None:
        """All rows, whatever becomes of each. Raises SandboxTrouble when no sandbox can be had any more."""
        for number, row in enumerate(self.rows, start=1):
            outcome = await self._row(row, self.folder / f"{number:02d}-{row.name}")
            self.outcomes.append(outcome)
            mark = "" if outcome.good else " <<<"
            notes = "".join(f" ({note})" for note in outcome.notes)
            self.say(f"[{number}/{len(self.rows)}] {row.name}: {outcome.words()}, {outcome.seconds:.0f} s{notes}{mark}")

    async def _row(self, row: Row, folder: Path) -> Outcome:
        """One row, a second time where the first proves nothing about the row."""
        began = time.monotonic()
        notes: list[str] = []
        for number in range(1, TRIES + 1):
            place = folder.with_name(f"{folder.name}-{number}")
            outcome = await self._try(row, place)
            why = self._why_again(outcome)
            if outcome.good or not why or number == TRIES:
                break
            notes.append(f"repeated once: {why}: {outcome.words()}")
        if outcome.good:
            shutil.rmtree(place, ignore_errors=True)
        kept = "" if outcome.good else str(place)
        return replace(outcome, notes=tuple(notes), seconds=time.monotonic() - began, run=kept)

    async def _try(self, row: Row, place: Path) -> Outcome:
        try:
            environment = self.bench.plant(row.flaws)
            done = await trial(Order(ROOT / row.experiment, place, environment, row.harm))
        except SandboxTrouble as error:
            return Outcome(row, None, problem=str(error), toppled=True)
        except TrialError as error:
            return Outcome(row, None, problem=str(error))
        return Outcome(row, held_against(row, done.report), done=done.done)

    def _why_again(self, outcome: Outcome) -> str:
        """Why this outcome says nothing about the row; a sandbox that toppled is replaced. Empty: it does say something."""
        if outcome.good:
            return ""
        if outcome.toppled or not self.bench.stands():
            self.bench.renew()
            return "the sandbox had toppled"
        return "our own generator or samplers left it open" if outcome.held is not None and outcome.held.ours else ""
