"""One run ended by signals: how it ended, how soon, and what it left."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from accuracy.killing.life import Life, NotReachedError, life, target_of
from accuracy.killing.moments import JUDGING
from accuracy.killing.sandbox_leftovers import SandboxLeftovers
from accuracy.signals.cases import APART_S, Case

AIM_S = 7.0
"""Source: design 3 and the issue "nothing is left behind": finished within 7 s."""
END_WITHIN_S = 60.0
"""Longer than the aim: a run that is late is measured, not cut off."""
PROCESSES_WITHIN_S = 5.0
LOOK_S = 0.05


@dataclass(frozen=True, slots=True)
class Ending:
    """What came of one case. `wrong` names everything that is not as it must be."""

    case: str
    after_s: float | None = None
    wrong: tuple[str, ...] = ()
    reached: bool = True

    @property
    def good(self) -> bool:
        return self.after_s is not None and self.after_s <= AIM_S and not self.wrong

    def __str__(self) -> str:
        after = "" if self.after_s is None else f"ended after {self.after_s:.2f} s"
        return f"{self.case}: {'; '.join(filter(None, (after, *self.wrong)))}"


async def end(case: Case, folder: Path, environment: Mapping[str, str]) -> Ending:
    """Start a run in the empty folder, send the signals at the moment, and look at what is left when it has ended."""
    name = f"{case.name} at {case.moment} ({Path(case.python).parts[-3]})"
    async with life(folder, environment, case.python) as run:
        try:
            await run.reached(case.moment)
        except NotReachedError as error:
            return Ending(name, wrong=(f"not ended: {error}",), reached=False)
        began = time.monotonic()
        for number, one in enumerate(case.signals):
            if number:
                await asyncio.sleep(APART_S)
            if run.process.returncode is not None:
                break
            run.process.send_signal(one)
        try:
            await asyncio.wait_for(run.process.wait(), END_WITHIN_S)
        except TimeoutError:
            return Ending(name, wrong=(f"it did not end within {END_WITHIN_S:g} s",))
        after_s = round(time.monotonic() - began, 2)
        async with SandboxLeftovers(target_of(environment)) as leftovers:
            left = await leftovers.left()
        # A run whose recording was closed had come to its end.
        return Ending(name, after_s, (*left, *await _wrong(run, "completed" if case.moment.step == JUDGING else "aborted")))


async def _wrong(run: Life, ended: str) -> list[str]:
    """What a run that was told to end did not do."""
    found = [] if run.process.returncode == 1 else [f"exit code {run.process.returncode}"]
    lines = (run.folder / "stdout.txt").read_text(errors="replace").splitlines()
    if not lines or not lines[-1].startswith("verdict="):
        found.append("its last line is no verdict")
    report = run.run / "report.json"
    how = json.loads(report.read_text(encoding="utf-8"))["ended"]["how"] if report.is_file() else "without a report"
    if how != ended:
        found.append(f"it ended {how}")
    deadline = time.monotonic() + PROCESSES_WITHIN_S
    while run.left_behind() and time.monotonic() < deadline:
        await asyncio.sleep(LOOK_S)
    return found + [f"process {pid} is left" for pid in run.left_behind()]
