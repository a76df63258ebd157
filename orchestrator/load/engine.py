"""Keeps the plan: sends every request when it is due, whatever became of the ones before, and gives each exactly one outcome."""

from __future__ import annotations

import asyncio
import gc
import heapq
import math
from collections import deque
from dataclasses import dataclass

from orchestrator.load.classify import Answer, Rules, classify
from orchestrator.load.exceptional import PLAIN, Ended, Exceptional
from orchestrator.load.lines import LineSink
from orchestrator.load.order import WorkerOrder
from orchestrator.load.pending import Pending
from orchestrator.load.pool import Pool
from orchestrator.load.requests import RequestMaker, request_makers
from orchestrator.load.tally import Tally
from orchestrator.load.timer import AbsoluteTimer
from probes.clock import SystemClock
from steady_state.observations import LoadEndLine
from steady_state.outcomes import Outcome

LAG_S = 0.05
"""Source: design 4, a request that went out more than 50 ms late counts as lagged."""

_SWEEP_S = 0.02  # how often time-outs are looked at, and the longest time between two wakes
_BURST = 256  # requests sent in one go before answers are read again
_SHARED_WAKES_ABOVE_PER_S = 1000.0
_SHARED_WAKE_S = 0.001
_FLUSH_S = 0.2
_COLLECT_S = 10.0
_QUIET_S = 0.003


@dataclass(frozen=True, slots=True)
class Lane:
    """One route of the plan."""

    name: str
    base_s: float
    rate_per_s: float
    maximum_s: float
    served_within_s: float
    rules: Rules
    maker: RequestMaker

    def due_s(self, number: int) -> float:
        """The same sum as LoadPlan.due, to the last bit."""
        return self.base_s + number / self.rate_per_s


def _lanes(order: WorkerOrder) -> list[Lane]:
    makers = request_makers(order)
    return [
        Lane(
            name=name,
            base_s=order.plan.start_s + plan.phase_s,
            rate_per_s=plan.rate_per_s,
            maximum_s=plan.maximum_ms / 1000,
            served_within_s=plan.served_within_ms / 1000,
            rules=Rules(order.routes[name].check, plan.served_within_ms, order.routes[name].stale_after_s),
            maker=makers[name],
        )
        for name, plan in order.plan.routes.items()
    ]


class Engine:
    """One worker's share of a source, on the running loop. `finished` is done when nothing is due and nothing is out any more."""

    def __init__(self, order: WorkerOrder, lines: LineSink, clock: SystemClock) -> None:
        loop = asyncio.get_running_loop()
        self._now = clock.now
        self._plan = order.plan
        self._marks = order.marks
        self._lines = lines
        self._lanes = _lanes(order)
        self._due = [(lane.due_s(order.worker), index, order.worker) for index, lane in enumerate(self._lanes)]
        heapq.heapify(self._due)
        self._timeout_s = order.plan.timeout_ms / 1000
        self._tally = Tally(order.plan, order.worker, lines.add)
        self._exceptional = Exceptional(order.plan.source, lines.add)
        self._outstanding: deque[Pending] = deque()
        self._end_s = math.inf
        self._earliest_end_s = -math.inf  # just after the last request that was sent
        self._stalled_s = 0.0
        self._next_sweep_s = self._next_flush_s = self._armed_s = self._now()
        self._next_collect_s = self._armed_s + _COLLECT_S
        own_rate_per_s = sum(lane.rate_per_s for lane in self._lanes) / order.plan.workers
        self._shortest_sleep_s = _SHARED_WAKE_S if own_rate_per_s > _SHARED_WAKES_ABOVE_PER_S else 0.0
        self._timer = AbsoluteTimer(loop, self._wake, ahead_s=clock.ahead_s)
        self._pool: Pool | None = None
        self.finished: asyncio.Future[None] = loop.create_future()

    def start(self, pool: Pool) -> None:
        """Keep the plan from now on."""
        self._pool = pool
        self._armed_s = self._now()
        self._arm(self._armed_s)

    def stop(self, instant: float | None) -> None:
        """Nothing is due from the instant on (None = now); what was sent already was due."""
        instant = self._now() if instant is None else instant
        self._end_s = min(self._end_s, max(instant, self._earliest_end_s))

    def close(self) -> None:
        self._timer.close()

    # Requests of the pool

    def message(self, request: Pending) -> bytes:
        return self._lanes[request.route].maker.make(request.number)

    def answered(self, request: Pending, answer: Answer) -> None:
        now = self._now()
        lane = self._lanes[request.route]
        latency_ms = (now - request.due_s) * 1000
        outcome = classify(answer, lane.rules, self._marks, latency_ms=latency_ms, expected=lambda: lane.maker.expected(request.number))
        self._finish(request, outcome, now, answer=answer)

    def failed(self, request: Pending, outcome: Outcome, detail: str) -> None:
        self._finish(request, outcome, self._now(), detail=detail)

    # Inside

    def _wake(self) -> None:
        now = self._now()
        late_s = now - self._armed_s
        if late_s > LAG_S:
            self._stalled_s += late_s
            # Answers may lie unread: they are read before anything is called timed out.
            self._next_sweep_s = now + _SWEEP_S
        self._armed_s = now
        self._send_due(now)
        if now >= self._next_sweep_s:
            self._sweep(now)
        if not self.finished.done():
            self._arm(now)

    def _arm(self, now: float) -> None:
        due_s = self._due[0][0]
        wake_s = min(due_s, self._next_sweep_s) if due_s < self._end_s else self._next_sweep_s
        self._armed_s = max(wake_s, now + self._shortest_sleep_s)
        self._timer.arm(self._armed_s)

    def _send_due(self, now: float) -> None:
        for _ in range(_BURST):
            due_s, route, number = self._due[0]
            if due_s > now or due_s >= self._end_s:
                return
            self._earliest_end_s = math.nextafter(due_s, math.inf)
            following = number + self._plan.workers
            heapq.heapreplace(self._due, (self._lanes[route].due_s(following), route, following))
            while due_s >= self._tally.current.end_s:
                self._tally.advance(now)
            self._send(Pending(route, number, due_s, self._tally.due(route)))

    def _send(self, request: Pending) -> None:
        assert self._pool is not None
        now = request.sent_s = self._now()
        request.stalled_s = self._stalled_s
        lag_s = now - request.due_s
        request.row.lag_max_s = max(request.row.lag_max_s, lag_s)
        if lag_s > self._timeout_s:
            self._finish(request, Outcome.GENERATOR, now, detail="not sent, the generator was too late")
            return
        if lag_s > LAG_S:
            request.row.lagged += 1
        self._outstanding.append(request)
        self._pool.submit(request)

    def _sweep(self, now: float) -> None:
        assert self._pool is not None
        self._next_sweep_s = now + _SWEEP_S
        self._time_out(now)
        self._pool.tend()
        next_due_s = self._due[0][0]
        while self._tally.current.end_s <= min(now, next_due_s) and self._tally.current.end_s < self._end_s:
            self._tally.advance(now)
        if min(now, next_due_s) >= self._end_s and not self._outstanding:
            self._finish_plan(now)
        if now >= self._next_flush_s:
            self._next_flush_s = now + _FLUSH_S
            self._lines.flush()
        if now >= self._next_collect_s and next_due_s - now > _QUIET_S:
            self._next_collect_s = now + _COLLECT_S
            gc.collect()

    def _time_out(self, now: float) -> None:
        """All have the same time-out, so the oldest comes first."""
        while self._outstanding:
            request = self._outstanding[0]
            if not request.done:
                if request.due_s + self._timeout_s > now:
                    return
                if request.connection is not None:
                    request.connection.abort()
                self._finish(request, Outcome.TIMEOUT, now, detail=f"no answer within {self._timeout_s:g} s")
            self._outstanding.popleft()

    def _finish_plan(self, now: float) -> None:
        if self._plan.start_s < self._end_s:
            self._tally.close(now)
        self._lines.add(LoadEndLine(t=now, source=self._plan.source, end_s=self._end_s))
        self._lines.flush()
        self.finished.set_result(None)

    def _finish(self, request: Pending, outcome: Outcome, now: float, *, answer: Answer | None = None, detail: str = "") -> None:
        if request.done:
            return
        request.done = True
        request.connection = None
        latency_s = now - request.due_s
        outcome = self._charged(request, outcome, now)
        lane = self._lanes[request.route]
        self._tally.finished(request.row, request.route, outcome, latency_s, now)
        if outcome not in PLAIN or latency_s > lane.maximum_s:
            self._exceptional.tell(_ended(lane, request, outcome, now, answer or Answer(0, detail.encode())))

    def _charged(self, request: Pending, outcome: Outcome, now: float) -> Outcome:
        """What we lost by our own stalls is not charged to the target: too late only because of them is the generator's."""
        late_s = now - self._armed_s  # of a stall that the timer has not seen yet, because the loop came to an answer first
        stalled_s = self._stalled_s - request.stalled_s + (late_s if late_s > LAG_S else 0.0)
        sent_late_s = request.sent_s - request.due_s
        if stalled_s <= LAG_S and sent_late_s <= LAG_S:
            return outcome
        if sent_late_s <= LAG_S:
            request.row.lagged += 1
        limit_s = {Outcome.LATE: self._lanes[request.route].served_within_s, Outcome.TIMEOUT: self._timeout_s}.get(outcome)
        own_s = stalled_s + sent_late_s
        return Outcome.GENERATOR if limit_s is not None and now - request.due_s - own_s < limit_s else outcome


def _ended(lane: Lane, request: Pending, outcome: Outcome, now: float, answer: Answer) -> Ended:
    return Ended(
        route=lane.name,
        number=request.number,
        due_s=request.due_s,
        ended_s=now,
        outcome=outcome,
        status=answer.status,
        detail=answer.body.decode("utf-8", "replace"),
        served_by=answer.served_by,
        secret=lane.maker.user(request.number).token,
    )
