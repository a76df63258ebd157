"""What can be seen of a run from outside while it goes: its process, and the lines of its recording as they are written."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LOOK_S = 0.02
Line = dict[str, Any]


class RunEnded(Exception):  # noqa: N818 - a course of events, not an error
    """The run ended before the awaited line was written."""


class Tail:
    """Complete lines of a growing file, each once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def lines(self) -> list[bytes]:
        """The lines written since the last call; an unfinished one is left for the next."""
        if not self._path.is_file():
            return []
        with self._path.open("rb") as file:
            file.seek(self._offset)
            new = file.read()
        whole = new[: new.rfind(b"\n") + 1]
        self._offset += len(whole)
        return whole.splitlines()


@dataclass(frozen=True, slots=True)
class RunSight:
    """A run under way in `folder` by the process `pid`."""

    pid: int
    folder: Path
    alive: Callable[[], bool]

    @property
    def recording(self) -> Path:
        return self.folder / "runs" / "latest" / "recording.jsonl"

    async def phase(self, name: str) -> Line:
        """Return when the run has entered the phase (`timeline` is minute 0). Raises RunEnded."""
        return await self.line(lambda line: line["kind"] == "phase" and line["phase"] == name)

    async def step(self, name: str) -> Line:
        """Return when a fault has reached the step (`injecting`, `injected`, `healed` ...). Raises RunEnded."""
        return await self.line(lambda line: line["kind"] == "fault" and line["phase"] == name)

    async def line(self, condition: Callable[[Line], bool]) -> Line:
        """The first line of the recording that fulfils the condition. Raises RunEnded."""
        tail = Tail(self.recording)
        while True:
            # First whether it lives: what it wrote before it ended is still looked at.
            alive = self.alive()
            for text in tail.lines():
                if condition(line := json.loads(text)):
                    return dict(line)
            if not alive:
                raise RunEnded(f"the run in {self.folder} ended first")
            await asyncio.sleep(LOOK_S)
