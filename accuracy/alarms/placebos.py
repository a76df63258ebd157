"""A recording judged: as it is when it has faults, under seeded placebo timelines when it has none."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from accuracy.alarms.looking import Look, look
from orchestrator.binding import bind
from orchestrator.plan import read_plan, scaled
from orchestrator.run_directory import RunDirectory, open_run_directory
from probes.target import load_description
from steady_state.history import History
from steady_state.judge import judge
from steady_state.judged_plan import JudgedFault
from steady_state.placebo import placebo_history
from steady_state.recording import read_recording

FULL = Path("experiments/full.json")
"""Its faults are the placebos."""


@dataclass(frozen=True, slots=True)
class Placebos:
    """How many timelines a recording is judged under, and the seed that they all follow from."""

    count: int
    seed: int

    def seeds(self, run: str) -> list[str]:
        """One for each timeline. It names the run and the place, so that no order of judging changes it."""
        return [f"{self.seed}/{run}/{place}" for place in range(self.count)]


def looks_at(path: Path, placebos: Placebos) -> list[Look]:
    """Every judgement of the run in this directory.

    Raises RefusedError when there is no recording, RecordingError when it cannot be judged, PlanError when the placebos do
    not fit the target, NoRoomError when its timeline is too short for them.
    """
    directory = open_run_directory(path)
    with directory.recording.open(encoding="utf-8", errors="replace") as lines:
        history = History(read_recording(lines))
    if history.plan.faults:
        return [look(judge(history), "healthy", directory.run_id)]
    return list(placebo_looks(history, placebo_rows(directory, history), directory.run_id, placebos))


def placebo_looks(history: History, faults: Sequence[JudgedFault], run: str, placebos: Placebos) -> Iterator[Look]:
    """The faultless history under each placebo timeline."""
    for seed in placebos.seeds(run):
        placed = placebo_history(history, faults, random.Random(seed).random)
        yield look(judge(placed), "placebo", run, seed)


def placebo_rows(directory: RunDirectory, history: History) -> list[JudgedFault]:
    """The faults of the full hour as this run's target and scale would have had them. Raises PlanError."""
    experiment = json.loads(FULL.read_text(encoding="utf-8"))
    plan = scaled(read_plan(experiment), time_scale=history.plan.scale_time, load_scale=history.plan.scale_load)
    description = load_description(directory.target.read_text(encoding="utf-8"), source=str(directory.target))
    return bind(plan, description).faults
