"""Wakes a loop at an absolute instant, to within some microseconds; the loop's own timers round to a millisecond."""

from __future__ import annotations

import asyncio
import ctypes
import os
from collections.abc import Callable
from typing import ClassVar

_CLOCK_MONOTONIC = 1
_TFD_NONBLOCK_CLOEXEC = os.O_NONBLOCK | os.O_CLOEXEC
_TFD_TIMER_ABSTIME = 1
_libc = ctypes.CDLL(None, use_errno=True)


class _Timespec(ctypes.Structure):
    _fields_: ClassVar = [("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long)]


class _Itimerspec(ctypes.Structure):
    _fields_: ClassVar = [("interval", _Timespec), ("value", _Timespec)]


class AbsoluteTimer:
    """A timerfd on the loop (os.timerfd_create needs Python 3.13). Not armed when made.

    `ahead_s`: what the clock of the instants shows more than CLOCK_MONOTONIC here.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, wake: Callable[[], None], *, ahead_s: float) -> None:
        self._fd = _libc.timerfd_create(_CLOCK_MONOTONIC, _TFD_NONBLOCK_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create failed")
        self._setting = _Itimerspec()
        self._by_reference = ctypes.byref(self._setting)
        self._loop = loop
        self._wake = wake
        self._ahead_s = ahead_s
        loop.add_reader(self._fd, self._expired)

    def arm(self, instant: float) -> None:
        """Wake at the instant, at once when it has passed."""
        instant -= self._ahead_s
        seconds = int(instant)
        self._setting.value.seconds = seconds
        # All zero would disarm it.
        self._setting.value.nanoseconds = max(1, int((instant - seconds) * 1e9))
        if _libc.timerfd_settime(self._fd, _TFD_TIMER_ABSTIME, self._by_reference, None) != 0:
            raise OSError(ctypes.get_errno(), "timerfd_settime failed")

    def close(self) -> None:
        """Never wake again."""
        self._loop.remove_reader(self._fd)
        os.close(self._fd)

    def _expired(self) -> None:
        try:
            os.read(self._fd, 8)
        except BlockingIOError:  # armed anew between the event and this call
            return
        self._wake()
