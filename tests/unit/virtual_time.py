"""A loop whose time jumps to the next timer, so that an hour passes in milliseconds.

Only for code that waits for timers, queues and events: with sockets or threads the loop cannot know how long to wait.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

T = TypeVar("T")

START_S = 1000.0
"""Virtual time starts here: not at 0, so that a forgotten offset shows."""

_WALL_AT_START = datetime(2026, 1, 1, tzinfo=UTC)


class StuckError(RuntimeError):
    """All tasks wait and no timer is set: on a real loop the test would hang."""


class _JumpingSelector(selectors.DefaultSelector):
    """Does not wait for a time-out: moves the loop's time forward by it."""

    loop: VirtualTimeLoop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if timeout is None:
            raise StuckError("every task waits for something that no timer will bring")
        self.loop.jump(timeout)
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An asyncio loop in virtual time: callbacks run in order, timers fire at their exact instant."""

    def __init__(self, start_s: float = START_S) -> None:
        self._virtual_s = start_s
        selector = _JumpingSelector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self._virtual_s

    def jump(self, length_s: float) -> None:
        # Rounded to the loop's own resolution: 0.2 s steps stay 0.2 s steps over a day.
        self._virtual_s = max(self._virtual_s, round(self._virtual_s + length_s, 9))


class VirtualClock:
    """A `probes.clock.Clock` that reads the running virtual loop."""

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def wall(self) -> datetime:
        return _WALL_AT_START + timedelta(seconds=self.now() - START_S)

    async def sleep_until(self, instant: float) -> None:
        left = instant - self.now()
        if left > 0:
            await asyncio.sleep(left)


def run_virtual(main: Callable[[VirtualClock], Awaitable[T]]) -> T:
    """Run `main(clock)` to its end on a fresh virtual loop that starts at START_S."""

    async def body() -> T:
        return await main(VirtualClock())

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(body())
