"""Alarms and INCONCLUSIVE counted apart, with their intervals; and whether the goal is met."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from accuracy.alarms.looking import Alarm, Group, Look
from accuracy.results import Results
from steady_state.binomial import clopper_pearson
from steady_state.verdict import Verdict

GOAL = "no FAIL and at most 1 % INCONCLUSIVE, among placebo cells and among cells of healthy runs; every planned run measured"
INCONCLUSIVE_RATIO = 0.01
"""Source: issue 5, item 6."""
GROUPS: tuple[Group, ...] = ("placebo", "healthy")


@dataclass(frozen=True, slots=True)
class Share:
    """So many of so many, with the exact 95 % interval of the probability behind it (Clopper-Pearson)."""

    count: int
    of: int

    @property
    def ratio(self) -> float:
        return self.count / self.of if self.of else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        return clopper_pearson(self.count, self.of)

    @property
    def words(self) -> str:
        low, high = self.interval
        return f"{self.count} of {self.of} ({self.ratio:.2%}, 95 % interval {low:.2%} to {high:.2%})"

    def document(self) -> dict[str, Any]:
        """As plain JSON."""
        return {"count": self.count, "of": self.of, "ratio": round(self.ratio, 6), "interval": [round(end, 6) for end in self.interval]}


@dataclass(frozen=True, slots=True)
class Summary:
    """All judgements of one measurement. `planned` is how many runs of each group were asked for (None: whatever was given)."""

    looks: Sequence[Look]
    planned: int | None
    trouble: Sequence[str] = ()

    def cells(self, group: Group, verdict: Verdict) -> Share:
        """Of all judged cells. Cells of one recording are not independent: the interval is too narrow, see `runs`."""
        looks = self._of(group)
        return Share(sum(one.cells.get(verdict, 0) for one in looks), sum(sum(one.cells.values()) for one in looks))

    def runs(self, group: Group, verdict: Verdict) -> Share:
        """Runs with at least one such cell: runs are independent of each other."""
        looks = self._of(group)
        return Share(len({one.run for one in looks if one.cells.get(verdict, 0)}), len({one.run for one in looks}))

    @property
    def alarms(self) -> list[Alarm]:
        """Every cell that is not PASS: FAIL first, then by run, placebo and place."""
        found = [alarm for one in self.looks for alarm in one.alarms]
        return sorted(found, key=lambda one: (one.verdict is not Verdict.FAIL, one.run, one.placebo, one.fault, one.criterion))

    @property
    def met(self) -> bool:
        """Whether the goal was reached; a group of which nothing was judged proves nothing."""
        return not self.trouble and all(self._quiet(group) for group in GROUPS)

    def _quiet(self, group: Group) -> bool:
        failed, undecided = self.cells(group, Verdict.FAIL), self.cells(group, Verdict.INCONCLUSIVE)
        enough = self.planned is None or self.runs(group, Verdict.FAIL).of >= self.planned
        return enough and failed.of > 0 and failed.count == 0 and undecided.ratio <= INCONCLUSIVE_RATIO

    def _of(self, group: Group) -> list[Look]:
        return [one for one in self.looks if one.group == group]


def as_results(summary: Summary, seed: int) -> Results:
    """The document of this measurement."""
    figures: dict[str, Any] = {"seed": seed, "planned_runs": summary.planned, "trouble": list(summary.trouble)}
    for group in GROUPS:
        for verdict in (Verdict.FAIL, Verdict.INCONCLUSIVE):
            counted = {"cells": summary.cells(group, verdict).document(), "runs": summary.runs(group, verdict).document()}
            figures[f"{group}_{verdict.value.lower()}"] = counted
    return Results("aa", GOAL, summary.met, figures, [alarm.document() for alarm in summary.alarms])
