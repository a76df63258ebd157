"""The only module that reads time or sleeps."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Time as everything else sees it."""

    def now(self) -> float:
        """Seconds of CLOCK_MONOTONIC."""
        ...

    def wall(self) -> datetime:
        """UTC wall time, for evidence only."""
        ...

    async def sleep_until(self, instant: float) -> None:
        """Return at the instant (at once when it has passed)."""
        ...


class SystemClock:
    """The real clock. Its monotonic seconds are shared by all processes of the machine.

    A process on another machine tells the run's instants with `ahead_s`: what the run's clock shows more than its own.
    """

    def __init__(self, ahead_s: float = 0.0) -> None:
        self.ahead_s = ahead_s

    def now(self) -> float:
        return time.monotonic() + self.ahead_s

    def wall(self) -> datetime:
        return datetime.now(UTC)

    async def sleep_until(self, instant: float) -> None:
        # A selector loop rounds time-outs up to a millisecond; that is well inside the 50 ms of design 11.
        while (left := instant - self.now()) > 0:
            await asyncio.sleep(left)
