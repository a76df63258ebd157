"""One run of overlapping faults as a process that is watched, meant to be ended before its time."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import uuid
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from accuracy.chaos_command import last_words, started
from accuracy.killing.moments import Moment
from accuracy.matrix.sight import RunEnded, RunSight
from accuracy.sandbox import without_ours

EXPERIMENT = Path(__file__).resolve().parents[2] / "experiments" / "overlap.json"
LOAD_SCALE = "20"
"""50 requests/s: what is measured is the way back, not the platform."""
LIVES_AT_MOST_S = 240.0
MARK = "CHAOS_KILL_MARK"


class NotReachedError(Exception):
    """The run ended before the moment, or the moment did not come; the text has the run's last words."""


@dataclass(frozen=True, slots=True)
class Life:
    """A run under way in a folder of its own. `mark` is in the environment of everything that it starts."""

    process: asyncio.subprocess.Process
    sight: RunSight
    folder: Path
    mark: str

    @property
    def run(self) -> Path:
        """The run's directory."""
        return self.sight.recording.parent

    async def reached(self, moment: Moment) -> None:
        """Return at the moment. Raises NotReachedError."""
        try:
            async with asyncio.timeout(LIVES_AT_MOST_S):
                await self.sight.line(moment.is_in)
        except (RunEnded, TimeoutError) as error:
            raise NotReachedError(f"{str(error) or 'the moment did not come'}: {last_words(self.folder)}") from error
        await asyncio.sleep(moment.delay_s)

    def left_behind(self) -> list[int]:
        """Processes of the run that are there, itself among them."""
        found = []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and f"{MARK}={self.mark}".encode() in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
        return found


@contextlib.asynccontextmanager
async def life(folder: Path, environment: Mapping[str, str], python: str = sys.executable) -> AsyncIterator[Life]:
    """A run in the empty folder, by this interpreter; killed at the latest when it is left."""
    mark = uuid.uuid4().hex
    variables = without_ours(os.environ) | dict(environment) | {MARK: mark, "CHAOS_LOAD_SCALE": LOAD_SCALE}
    process = await started(EXPERIMENT, folder, variables, python)
    try:
        yield Life(process, RunSight(process.pid, folder, lambda: process.returncode is None), folder, mark)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGKILL)
        await process.wait()


def target_of(environment: Mapping[str, str]) -> dict[str, Any]:
    """The target description of the sandbox that `sandbox env` names."""
    found: dict[str, Any] = yaml.safe_load(Path(environment["CHAOS_TARGET"]).read_text(encoding="utf-8"))
    return found
