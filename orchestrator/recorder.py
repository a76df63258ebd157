"""The recorder: observations as numbered lines of `recording.jsonl`, append-only, flushed so that a crash loses nothing written."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TextIO

from orchestrator.errors import HarnessError
from steady_state.observations import FaultLine, Observation, PhaseLine, RunLine


class Recorder:
    """Writes lines in order. Until `forget` it also keeps them, for the look at the baseline."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: TextIO = path.open("a", encoding="utf-8")
        self._lock = threading.Lock()
        self._next = 0
        self._kept: list[Observation] | None = []

    def record(self, line: Observation) -> None:
        """Number the line and write it. Phases and steps of faults are on disk before this returns. Raises HarnessError."""
        with self._lock:
            numbered = line.model_copy(update={"seq": self._next})
            self._next += 1
            try:
                self._file.write(numbered.model_dump_json() + "\n")
                self._file.flush()
                if isinstance(line, FaultLine | PhaseLine | RunLine):
                    os.fsync(self._file.fileno())
            except (OSError, ValueError) as error:
                raise HarnessError(f"the recording {self.path} cannot be written: {error}") from error
            if self._kept is not None:
                self._kept.append(numbered)

    def kept(self) -> list[Observation]:
        """The lines so far (empty after `forget`)."""
        with self._lock:
            return list(self._kept or ())

    def forget(self) -> None:
        """Keep no more lines in memory."""
        with self._lock:
            self._kept = None

    def close(self) -> None:
        """Everything on disk; a second time does nothing. Raises HarnessError."""
        with self._lock:
            if self._file.closed:
                return
            try:
                with self._file:
                    self._file.flush()
                    os.fsync(self._file.fileno())
            except OSError as error:
                raise HarnessError(f"the recording {self.path} cannot be written: {error}") from error
