"""The load worker: order on stdin, JSON lines on stdout, until `stop <instant>` or end-of-file on stdin."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import math
import os
import resource
import signal
import sys
from collections.abc import Callable
from random import Random
from typing import Any

from pydantic import ValidationError

from orchestrator.load.address import Address
from orchestrator.load.engine import Engine
from orchestrator.load.event_loop import new_event_loop
from orchestrator.load.lines import Lines
from orchestrator.load.order import WorkerOrder
from orchestrator.load.pool import Limits, Pool
from probes.clock import SystemClock
from steady_state.observations import LoadPlanLine

_STDIN, _STDOUT = 0, 1
_PR_SET_PDEATHSIG = 1
_NICE = -10  # measured: a busy neighbour on the same core costs 82 us at p99.9 instead of 3.9 ms
_SPARE_DESCRIPTORS = 64
_ROTATION_S = 0.5  # each connection of the rotation is used about this often, well inside any server's keep-alive
_ROTATION = (4, 200)


def _leave_the_terminal() -> None:
    """Die with the run, never by a terminal's Ctrl-C: the run decides when the load ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, _NICE)


def _descriptors() -> int:
    """How many connections the process may have, after asking for all that it can get."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return (sys.maxsize if hard == resource.RLIM_INFINITY else hard) - _SPARE_DESCRIPTORS


def _limits(order: WorkerOrder) -> Limits:
    rate_per_s = sum(route.rate_per_s for route in order.plan.routes.values())
    cap = min(order.connections, _descriptors())
    least, most = _ROTATION
    return Limits(
        spread=min(cap, max(least, min(most, math.ceil(rate_per_s * _ROTATION_S)))),
        cap=cap,
        dial_timeout_s=order.plan.timeout_ms / 1000,
    )


class Commands:
    """Stdin after the order: `stop <instant>` lines; end-of-file stops at once."""

    def __init__(self, rest: bytes, stop: Callable[[float | None], None]) -> None:
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
    loop = asyncio.get_running_loop()
    clock = SystemClock()
    lines = Lines(_STDOUT, lambda: os.kill(os.getpid(), signal.SIGKILL))  # nobody reads: the run is gone
    engine = Engine(order, lines, clock)

    def broken(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if not isinstance(error, OSError) and not engine.finished.done():
            engine.finished.set_exception(error or RuntimeError(context["message"]))

    loop.set_exception_handler(broken)
    Commands(rest, engine.stop)
    address = Address(order.base_url)
    await address.resolve()
    pool = Pool(address, _limits(order), order.marks, engine, clock.now, Random(order.seed))
    await pool.warm_up()
    resolving = loop.create_task(address.keep_resolved())
    gc.collect()
    gc.freeze()
    gc.disable()
    lines.add(LoadPlanLine(t=clock.now(), plan=order.plan))
    lines.flush()
    engine.start(pool)
    await engine.finished
    resolving.cancel()
    engine.close()
    await pool.close()
    lines.close(timeout_s=5.0)


def main() -> int:
    """Exit codes: 0 the plan was kept to its end, 2 the order is wrong, 3 the target's name does not resolve."""
    _leave_the_terminal()
    text, rest = _read_order()
    try:
        order = WorkerOrder.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        print(f"the order is wrong: {'.'.join(map(str, first['loc']))}: {first['msg']}", file=sys.stderr)
        return 2
    try:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(_work(order, rest))
    except OSError as error:
        print(f"cannot reach {order.base_url}: {error}", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
