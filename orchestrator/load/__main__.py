"""The load worker: order on stdin, JSON lines on stdout, until `stop <instant>` or end-of-file on stdin.

`python -m orchestrator.load serve FOLDER PORT` is a worker of several, in a pod of an Indexed Job (`serving`).
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from orchestrator.load import serving
from orchestrator.load.event_loop import new_event_loop
from orchestrator.load.keeping import Stop, keep_plan
from orchestrator.load.lines import Lines
from orchestrator.load.order import WorkerOrder
from probes.clock import SystemClock

_STDIN, _STDOUT = 0, 1
_PR_SET_PDEATHSIG = 1
_NICE = -10  # measured: a busy neighbour on the same core costs 82 us at p99.9 instead of 3.9 ms
_WRONG_ORDER, _NOT_REACHED, _UNHEARD = 2, 3, 4
_INDEX = "JOB_COMPLETION_INDEX"
"""By it Kubernetes tells a pod of an Indexed Job its number, from 0."""


def _leave_the_terminal() -> None:
    """Die with the run, never by a terminal's Ctrl-C: the run decides when the load ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _go_first() -> None:
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, _NICE)


class Commands:
    """Stdin after the order: `stop <instant>` lines; end-of-file stops at once."""

    def __init__(self, rest: bytes, stop: Stop) -> None:
        self._rest = rest
        self._stop = stop
        asyncio.get_running_loop().add_reader(_STDIN, self._read)
        self._obey()

    def _read(self) -> None:
        data = os.read(_STDIN, 65536)
        if not data:
            asyncio.get_running_loop().remove_reader(_STDIN)
            self._stop(None)
        self._rest += data
        self._obey()

    def _obey(self) -> None:
        *lines, self._rest = self._rest.split(b"\n")
        for line in lines:
            word, _, instant = line.partition(b" ")
            if word == b"stop":
                self._stop(float(instant))


def _read_order() -> tuple[bytes, bytes]:
    """The first line of stdin and what came after it."""
    data = bytearray()
    while b"\n" not in data and (block := os.read(_STDIN, 1 << 20)):
        data += block
    order, _, rest = bytes(data).partition(b"\n")
    return order, rest


async def _work(order: WorkerOrder, rest: bytes) -> None:
    lines = Lines(_STDOUT, lambda: os.kill(os.getpid(), signal.SIGKILL))  # nobody reads: the run is gone

    def commanded(stop: Stop) -> None:
        Commands(rest, stop)

    await keep_plan(order, lines, SystemClock(), commanded)
    lines.close(timeout_s=5.0)


def _of_stdin() -> int:
    _leave_the_terminal()
    _go_first()
    text, rest = _read_order()
    try:
        order = WorkerOrder.model_validate_json(text)
    except ValidationError as error:
        return _refused(error)
    return _run(order, _work(order, rest))


def _of_folder(folder: Path, port: str, index: str) -> int:
    # A process with the number 1 is not ended by a signal that it does not handle.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(128 + signal.SIGTERM))
    _go_first()
    try:
        order, key = serving.read_order(folder, int(index))
    except ValidationError as error:
        return _refused(error)
    except (OSError, ValueError) as error:
        print(f"the order in {folder} cannot be read, {_INDEX} being {index!r}: {error}", file=sys.stderr)
        return _WRONG_ORDER
    try:
        return _run(order, serving.serve(order, key, int(port)))
    except serving.UnheardError as error:
        print(str(error), file=sys.stderr)
        return _UNHEARD


def _refused(error: ValidationError) -> int:
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    print(f"the order is wrong: {'.'.join(map(str, first['loc']))}: {first['msg']}", file=sys.stderr)
    return _WRONG_ORDER


def _run(order: WorkerOrder, work: Coroutine[Any, Any, None]) -> int:
    try:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(work)
    except OSError as error:
        print(f"cannot reach {order.base_url}: {error}", file=sys.stderr)
        return _NOT_REACHED
    return 0


def main(arguments: Sequence[str]) -> int:
    """Exit codes: 0 the plan was kept to its end, 2 the order is wrong, 3 the target's name does not resolve, 4 the run is gone."""
    match list(arguments):
        case []:
            return _of_stdin()
        case ["serve", folder, port] if port.isdecimal():
            return _of_folder(Path(folder), port, os.environ.get(_INDEX, ""))
        case _:
            print("usage: python -m orchestrator.load [serve FOLDER PORT]", file=sys.stderr)
            return _WRONG_ORDER


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
