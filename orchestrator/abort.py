"""The abort latch: one event that a signal, an operator and a stop condition set, and that everything waits on."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

LONGEST_WAIT_S = 0.25
"""A signal that lands between the look and the sleep of a waiting thread wakes nobody: it is seen after this long."""


class AbortLatch:
    """Set once, never cleared. Safe to set from any thread and from a signal handler."""

    def __init__(self) -> None:
        # A Condition on an RLock, not an Event: a signal handler runs inside the main thread, which may be in `wait` itself.
        self._changed = threading.Condition(threading.RLock())
        self._set = False
        self._listeners: list[Callable[[], None]] = []
        self.reason = ""

    def set(self, reason: str) -> None:
        """Abort; the first reason is kept."""
        with self._changed:
            if self._set:
                return
            self.reason = reason
            self._set = True
            self._changed.notify_all()
        for listener in list(self._listeners):
            listener()

    def is_set(self) -> bool:
        return self._set

    def wait(self, timeout_s: float) -> bool:
        """Wait in a thread, at most LONGEST_WAIT_S; True when the run is aborted."""
        with self._changed:
            if not self._set:
                self._changed.wait(min(timeout_s, LONGEST_WAIT_S))
        return self._set

    def as_event(self, loop: asyncio.AbstractEventLoop) -> asyncio.Event:
        """The latch as an event of the loop."""
        event = asyncio.Event()

        def tell() -> None:
            loop.call_soon_threadsafe(event.set)

        self._listeners.append(tell)
        if self._set:
            event.set()
        return event
