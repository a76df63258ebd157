"""Time for the data path: a clock in seconds and timers on the event loop."""

import asyncio
import math
import time
from collections.abc import Callable
from typing import Protocol

SOON_S = 0.0001


class Timer(Protocol):
    """A pending call."""

    def cancel(self) -> None: ...


class Clock(Protocol):
    """What a toxic knows of time."""

    def now_s(self) -> float: ...

    def after(self, wait_s: float, call: Callable[[], None]) -> Timer: ...


class LoopClock:
    """The monotonic clock and the running loop's timers."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def now_s(self) -> float:
        return time.monotonic()

    def after(self, wait_s: float, call: Callable[[], None]) -> Timer:
        """Call as soon as possible for a wait below SOON_S, else up to 1 ms after it and never before."""
        if wait_s < SOON_S:
            return self._loop.call_soon(call)
        # uvloop counts whole milliseconds, rounded, from the start of its turn; an instant that is a whole millisecond
        # of the monotonic clock, which is the loop's too, is met exactly.
        return self._loop.call_at(math.ceil((time.monotonic() + wait_s) * 1000) / 1000, call)
