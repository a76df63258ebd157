"""The abort latch: one event that a signal, an operator and a stop condition set, and that everything waits on."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable


class AbortLatch:
    """Set once, never cleared. Safe to set from any thread and from a signal handler."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._listeners: list[Callable[[], None]] = []
        self.reason = ""

    def set(self, reason: str) -> None:
        """Abort; the first reason is kept."""
        if self._event.is_set():
            return
        self.reason = reason
        self._event.set()
        for listener in list(self._listeners):
            listener()

    def is_set(self) -> bool:
        return self._event.is_set()

    def wait(self, timeout_s: float) -> bool:
        """Wait in a thread; True when the run is aborted."""
        return self._event.wait(timeout_s)

    def as_event(self, loop: asyncio.AbstractEventLoop) -> asyncio.Event:
        """The latch as an event of the loop."""
        event = asyncio.Event()

        def tell() -> None:
            loop.call_soon_threadsafe(event.set)

        self._listeners.append(tell)
        if self._event.is_set():
            event.set()
        return event
