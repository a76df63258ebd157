"""Leaving a sandbox behind: it runs in a child of its own session; we relay what it says until it is ready."""

import json
import os
import sys
from collections.abc import Callable
from typing import Any

from sandbox.state import SandboxError
from sandbox.supervisor import Voice


def voice() -> Voice:
    """Progress on stderr, the status document as one line of JSON on stdout."""
    return Voice(progress=_progress, ready=_ready)


def run(work: Callable[[Voice], None]) -> int:
    """Do `work` in a child that stays; returns 0 when it is ready, else its exit code. Before any thread is started."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        os._exit(_stay(work, writing))
    os.close(writing)
    ready = False
    with open(reading, encoding="utf-8") as lines:
        for line in lines:
            ready = ready or line.startswith("{")
            stream = sys.stdout if line.startswith("{") else sys.stderr
            stream.write(line)
            stream.flush()
    return 0 if ready else os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _stay(work: Callable[[Voice], None], writing: int) -> int:
    """The child: says everything into the pipe, and nothing any more once it is ready."""
    os.setsid()
    with open(os.devnull, "r+b") as nothing:
        os.dup2(nothing.fileno(), 0)
        os.dup2(writing, 1)
        os.dup2(writing, 2)
        os.close(writing)

        def ready(status: dict[str, Any]) -> None:
            _ready(status)
            os.dup2(nothing.fileno(), 1)
            os.dup2(nothing.fileno(), 2)

        try:
            work(Voice(progress=_progress, ready=ready))
        except SandboxError as error:
            _progress(str(error))
            return 1
    return 0


def _progress(text: str) -> None:
    sys.stderr.write(f"sandbox: {text}\n")
    sys.stderr.flush()


def _ready(status: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(status) + "\n")
    sys.stdout.flush()
