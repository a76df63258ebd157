"""The signals that end a run: from the first on they only set the abort latch, and none cuts anything in the middle."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

from orchestrator.abort import AbortLatch

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


class EndingSignals:
    """Those of the main thread, between `catch` and `let_go`. `heard` is whether one has come."""

    def __init__(self, latch: AbortLatch) -> None:
        self._latch = latch
        self._handlers: dict[signal.Signals, Any] = {}
        self.heard = False

    def catch(self) -> None:
        """Take the signals over; in another thread than the main one nothing happens."""
        if threading.current_thread() is threading.main_thread():
            # Under `nohup` a closed terminal must not end the run.
            numbers = [number for number in SIGNALS if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN]
            self._handlers = {number: signal.signal(number, self._on_signal) for number in numbers}

    def let_go(self) -> None:
        """Give the signals back; but once one has come, no other reaches the process any more.

        Whoever sends five in a row has sent the last after the run has ended. Chaos Toolkit, which then writes its journal
        and makes the exit code, sets SIGTERM back to what kills; only a blocked signal does not care.
        """
        if self._handlers and self.heard:
            signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers = {}

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        again = self._latch.is_set()
        self.heard = True
        self._latch.set(f"signal {name}")
        # The terminal may be what went away.
        with contextlib.suppress(OSError):
            os.write(2, f"{name}: {'already ending' if again else 'ending the run'}, removing faults\n".encode())


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """Signals wait until this is over. Threads that start in it, those of native libraries too, never take one."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def leave_to_main_thread() -> None:
    """In any thread but the main one: the kernel gives it no signal from now on."""
    if threading.current_thread() is not threading.main_thread():
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
