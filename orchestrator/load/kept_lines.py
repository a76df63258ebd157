"""A worker's lines for a reader that comes and asks: numbered from 0, kept until it has them."""

from __future__ import annotations

from collections import deque
from itertools import islice

from pydantic import BaseModel

AT_ONCE = 5000
"""So many lines are given at a time: a megabyte at most that one answer has to carry."""


class NotHereError(Exception):
    """The reader asks for lines that this worker does not have: it knows another one, or one that was started before."""


class KeptLines:
    """Reading the lines from a number on says that those before it have arrived: they are forgotten then, and no sooner."""

    def __init__(self) -> None:
        self._first = 0
        self._kept: deque[str] = deque()

    def add(self, line: BaseModel) -> None:
        self._kept.append(line.model_dump_json())

    def flush(self) -> None:
        """Nothing to do: whoever asks has all."""

    def read(self, number: int) -> list[str]:
        """The lines from this number on, AT_ONCE of them at most. Raises NotHereError."""
        if not self._first <= number <= self._first + len(self._kept):
            raise NotHereError(f"asked for lines from {number} on, there are {self._first} to {self._first + len(self._kept) - 1}")
        for _ in range(number - self._first):
            self._kept.popleft()
        self._first = number
        return list(islice(self._kept, AT_ONCE))
