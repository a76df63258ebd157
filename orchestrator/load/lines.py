"""Where a worker's lines go: to a file descriptor, on a thread of its own, for a reader that is slow must not slow the load down."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Protocol

from pydantic import BaseModel


class LineSink(Protocol):
    """What an engine tells its lines to."""

    def add(self, line: BaseModel) -> None:
        """One line more."""

    def flush(self) -> None:
        """Let the reader have what was added."""


class Lines:
    """Lines are gathered by `add` and written by `flush`. `broken` is called, on the thread, when nobody reads any more."""

    def __init__(self, fd: int, broken: Callable[[], None]) -> None:
        self._fd = fd
        self._broken = broken
        self._gathered: list[str] = []
        self._queue: SimpleQueue[bytes | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._write_all, daemon=True, name="lines")
        self._thread.start()

    def add(self, line: BaseModel) -> None:
        self._gathered.append(line.model_dump_json())

    def flush(self) -> None:
        if self._gathered:
            self._queue.put(("\n".join(self._gathered) + "\n").encode())
            self._gathered.clear()

    def close(self, timeout_s: float) -> None:
        """Write what is left; give up after the time-out."""
        self.flush()
        self._queue.put(None)
        self._thread.join(timeout_s)

    def _write_all(self) -> None:
        try:
            while (block := self._queue.get()) is not None:
                left = memoryview(block)
                while left:
                    left = left[os.write(self._fd, left) :]
        except OSError:
            self._broken()
