"""How a program that measures is ended: by Ctrl-C, and in the same way when it is told to end or its terminal is closed."""

from __future__ import annotations

import signal
from types import FrameType

INTERRUPTED = 130
"""Exit code of a program that was ended so. Source: a shell's, 128 and the number of SIGINT."""


def end_as_by_ctrl_c() -> None:
    """From now on SIGTERM and SIGHUP raise KeyboardInterrupt: what was measured is written, the sandbox is taken down.

    Also where SIGHUP was ignored, as under nohup: the runs that are started would not hear it either.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
