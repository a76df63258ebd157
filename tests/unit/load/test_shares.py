"""Workers that share a plan: together they send what one would, byte for byte, and their tallies add up to its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import reduce
from ipaddress import IPv4Address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError
from virtual_time import START_S, VirtualClock, run_virtual

from orchestrator.load import engine as engine_module
from orchestrator.load.classify import Answer
from orchestrator.load.engine import Engine
from orchestrator.load.order import Contents, KnownUser, UserPool, WorkerOrder
from orchestrator.load.pending import Pending
from probes.target import Marks, Route
from steady_state.load_plan import LoadPlan, RoutePlan
from steady_state.merging import merged
from steady_state.observations import LoadEndLine, RequestLine, TallyLine

LATENCIES_S = (0.0201, 0.0412, 0.1505, 0.3301, 2.503, 7.0)
"""In the middle of their buckets. The last but one is late, the last is longer than any client waits."""
TIMER_S = 1e-6
"""A virtual timer is this much late, so that it never wakes a hair too early."""


class VirtualTimer:
    """Wakes by the loop's own timers."""

    def __init__(self, loop: asyncio.AbstractEventLoop, wake: Callable[[], None], *, ahead_s: float) -> None:
        self._loop = loop
        self._wake = wake
        self._handle: asyncio.TimerHandle | None = None

    def arm(self, instant: float) -> None:
        self.close()
        self._handle = self._loop.call_at(instant + TIMER_S, self._wake)

    def close(self) -> None:
        if self._handle is not None:
            self._handle.cancel()


class ShiftedClock(VirtualClock):
    """Any clock of the run's: what it shows more than the machine's own is the timer's business."""

    ahead_s = 0.0


class Lines:
    def __init__(self) -> None:
        self.lines: list[BaseModel] = []

    def add(self, line: BaseModel) -> None:
        self.lines.append(line)

    def flush(self) -> None:
        pass


class Target:
    """In a pool's place: each request takes as long, and is answered so, as its route and number say."""

    def __init__(self, engine: Engine, sent: list[bytes]) -> None:
        self._engine = engine
        self._sent = sent

    def submit(self, request: Pending) -> None:
        self._sent.append(self._engine.message(request))
        latency_s = LATENCIES_S[(7 * request.number + request.route) % len(LATENCIES_S)]
        status = 503 if (5 * request.number + request.route) % 11 == 0 else 200
        asyncio.get_running_loop().call_later(latency_s, self._engine.answered, request, Answer(status, b"{}"))

    def tend(self) -> None:
        pass


def an_order(rates: list[float]) -> WorkerOrder:
    names = [f"route-{number}" for number in range(len(rates))]
    plans = {name: RoutePlan(rate_per_s=rate, phase_s=0.377 / rate, maximum_ms=100) for name, rate in zip(names, rates, strict=True)}
    return WorkerOrder(
        base_url="http://127.0.0.1:1",
        marks=Marks(),
        routes={
            name: Route(method="GET", path="/{content_id}?op={operation_id}", authenticated_ratio=0.4, maximum_ms=100) for name in names
        },
        plan=LoadPlan(source="load", start_s=START_S + 1, routes=plans),
        users=UserPool(
            known=[KnownUser(user_id=f"user-{n}", token=f"t{n}") for n in range(3)], anonymous=7, first_address=IPv4Address("100.64.0.1")
        ),
        contents=Contents(id_format="c-{number}", count=50),
        seed=5,
        connections=10,
    )


def sent_by(order: WorkerOrder, workers: int, length_s: float) -> tuple[list[bytes], list[BaseModel]]:
    """The requests and the lines of so many workers that share the order."""
    sent: list[bytes] = []
    lines = Lines()

    async def main(_clock: VirtualClock) -> None:
        plan = order.plan.model_copy(update={"workers": workers})
        engines = []
        for worker in range(workers):
            own = order.model_copy(update={"plan": plan, "worker": worker})
            engine = Engine(own, lines, ShiftedClock())  # type: ignore[arg-type]
            engine.start(Target(engine, sent))  # type: ignore[arg-type]
            engine.stop(order.plan.start_s + length_s)
            engines.append(engine)
        await asyncio.gather(*(engine.finished for engine in engines))
        for engine in engines:
            engine.close()

    run_virtual(main)
    return sent, lines.lines


def tallies(lines: list[BaseModel]) -> dict[int, TallyLine]:
    """Merged by second, without what differs between one worker and several: when, and whose."""
    found: dict[int, list[TallyLine]] = {}
    for line in lines:
        if isinstance(line, TallyLine):
            found.setdefault(line.second, []).append(line)
    whole = {second: reduce(merged, some) for second, some in found.items()}
    return {second: line.model_copy(update={"t": 0.0, "workers": (), "lag_max_ms": 0.0}) for second, line in whole.items()}


def requests(lines: list[BaseModel]) -> set[tuple[str, int, float, str]]:
    return {(line.route, line.number, line.t, line.outcome) for line in lines if isinstance(line, RequestLine)}


@settings(max_examples=25, deadline=None)
@given(workers=st.integers(2, 5), rates=st.lists(st.floats(0.3, 40), min_size=1, max_size=3), length_s=st.floats(0.5, 6))
def test_workers_together_send_and_count_what_one_would(workers: int, rates: list[float], length_s: float) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine_module, "AbsoluteTimer", VirtualTimer)
        order = an_order(rates)
        alone_sent, alone = sent_by(order, 1, length_s)
        shared_sent, shared = sent_by(order, workers, length_s)
    assert sorted(shared_sent) == sorted(alone_sent)
    assert tallies(shared) == tallies(alone)
    assert requests(shared) == requests(alone)
    assert {line.end_s for line in shared if isinstance(line, LoadEndLine)} == {order.plan.start_s + length_s}
    due = sum(row.due for line in tallies(shared).values() for row in line.routes.values())
    assert due == len(alone_sent)


@pytest.mark.parametrize("worker", [2, 9])
def test_a_worker_that_the_plan_does_not_have_is_refused(worker: int) -> None:
    order = an_order([1.0])
    plan = order.plan.model_copy(update={"workers": 2})
    with pytest.raises(ValidationError, match="none of the 2 that the plan has"):
        WorkerOrder.model_validate(order.model_dump() | {"plan": plan.model_dump(), "worker": worker})
