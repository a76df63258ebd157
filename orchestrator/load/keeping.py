"""One worker's work from its order to its last line: connections opened, the plan kept to its end."""

from __future__ import annotations

import asyncio
import gc
import math
import resource
import sys
from collections.abc import Callable
from random import Random
from typing import Any

from orchestrator.load.address import Address
from orchestrator.load.engine import Engine
from orchestrator.load.lines import LineSink
from orchestrator.load.order import WorkerOrder
from orchestrator.load.pool import Limits, Pool
from probes.clock import SystemClock
from steady_state.observations import LoadPlanLine

Stop = Callable[[float | None], None]
"""Nothing is due from the instant on; None = now."""

_SPARE_DESCRIPTORS = 64
_ROTATION_S = 0.5  # each connection of the rotation is used about this often, well inside any server's keep-alive
_ROTATION = (4, 200)


async def keep_plan(order: WorkerOrder, lines: LineSink, clock: SystemClock, commanded: Callable[[Stop], None]) -> None:
    """Return when the last request of the order has its outcome. `commanded` is given the way to stop.

    Raises OSError when the target's name does not resolve.
    """
    loop = asyncio.get_running_loop()
    engine = Engine(order, lines, clock)

    def broken(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if not isinstance(error, OSError) and not engine.finished.done():
            engine.finished.set_exception(error or RuntimeError(context["message"]))

    loop.set_exception_handler(broken)
    commanded(engine.stop)
    address = Address(order.base_url)
    await address.resolve()
    pool = Pool(address, _limits(order), order.marks, engine, clock.now, Random(f"{order.seed}/{order.worker}"))
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


def _limits(order: WorkerOrder) -> Limits:
    rate_per_s = sum(route.rate_per_s for route in order.plan.routes.values()) / order.plan.workers
    cap = min(order.connections, _descriptors())
    least, most = _ROTATION
    return Limits(
        spread=min(cap, max(least, min(most, math.ceil(rate_per_s * _ROTATION_S)))),
        cap=cap,
        dial_timeout_s=order.plan.timeout_ms / 1000,
        retire_after_s=order.retire_after_s,
    )


def _descriptors() -> int:
    """How many connections the process may have, after asking for all that it can get."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return (sys.maxsize if hard == resource.RLIM_INFINITY else hard) - _SPARE_DESCRIPTORS
