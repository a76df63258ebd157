"""One judged run, or one run under one placebo timeline: how many cells of each verdict, and what was behind those not green."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from steady_state.explanation import explain
from steady_state.judge import BASELINE, Cell, Judgement
from steady_state.verdict import Verdict

Group = Literal["placebo", "healthy"]


@dataclass(frozen=True, slots=True)
class Alarm:
    """A cell that is not PASS although nothing was wrong, with what can be seen of its cause. `placebo` is its seed, or ""."""

    run: str
    placebo: str
    fault: str
    criterion: str
    verdict: Verdict
    because: str
    first_failing: Mapping[str, object] | None
    steal_ratio: float | None
    """The most CPU steal in any second of the run's timeline around the cell; None when it was not recorded."""
    reasons: tuple[str, ...]

    def document(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            "run": self.run,
            "placebo": self.placebo,
            "fault": self.fault,
            "criterion": self.criterion,
            "verdict": self.verdict.value,
            "because": self.because,
            "steal_ratio": self.steal_ratio,
            "first_failing": None if self.first_failing is None else dict(self.first_failing),
            "reasons": list(self.reasons),
        }


@dataclass(frozen=True, slots=True)
class Look:
    """One judgement, counted."""

    group: Group
    run: str
    placebo: str
    cells: Mapping[Verdict, int]
    alarms: tuple[Alarm, ...]


def look(judgement: Judgement, group: Group, run: str, placebo: str = "") -> Look:
    """Count the judged cells; a placebo's baseline row is left out, since it is the same stretch again and again."""
    cells = [cell for cell in judgement.cells if cell.finding is not None and (group == "healthy" or cell.fault != BASELINE)]
    verdicts = Counter(cell.finding.verdict for cell in cells if cell.finding is not None)
    return Look(group, run, placebo, verdicts, tuple(_alarms(judgement, cells, run, placebo)))


def _alarms(judgement: Judgement, cells: Iterable[Cell], run: str, placebo: str) -> Iterable[Alarm]:
    for cell in cells:
        if cell.finding is None or cell.finding.verdict is Verdict.PASS:
            continue
        explained = explain(judgement, cell)
        yield Alarm(
            run=run,
            placebo=placebo,
            fault=cell.fault,
            criterion=cell.criterion,
            verdict=cell.finding.verdict,
            because=cell.finding.because,
            first_failing=explained.failing.first,
            steal_ratio=_steal(judgement, explained.around),
            reasons=explained.reasons,
        )


def _steal(judgement: Judgement, around: tuple[float, float]) -> float | None:
    history = judgement.history
    start, end = around
    return max((line.steal_ratio for line in history.recording.hosts if start <= line.t - history.timeline <= end), default=None)
