"""The run's side of a load worker: starts the process, hands over the order, records its lines, stops it."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from orchestrator.load.order import WorkerOrder
from probes.clock import Clock
from steady_state.observations import OBSERVATION, LoadEndLine, LoadPlanLine, Observation, TallyLine
from steady_state.outcomes import FAILED

_LONGEST_LINE_BYTES = 4 << 20
_READY_WITHIN_S = 20.0
_EXIT_WITHIN_S = 10.0  # after the last outstanding request


class LoadWorkerError(Exception):
    """The load worker did not do its duty; the text says what happened."""


@dataclass(frozen=True, slots=True)
class Live:
    """The newest second of which every request has its outcome."""

    second: int = -1
    due: int = 0
    failed: int = 0
    lagged: int = 0


class LoadWorker:
    """One worker process. `live` is for the progress display."""

    def __init__(self, order: WorkerOrder, record: Callable[[Observation], None], clock: Clock) -> None:
        self._order = order
        self._record = record
        self._clock = clock
        self._process: asyncio.subprocess.Process | None = None
        self._ready = asyncio.Event()
        self._ended = False
        self._errors: deque[str] = deque(maxlen=20)
        self._reading: asyncio.Task[None] | None = None
        self.live = Live()

    @property
    def pid(self) -> int:
        return self._started().pid

    async def start(self) -> None:
        """Start the process (from a thread that outlives it: the kernel kills it with its creator); return when it is ready.

        Raises LoadWorkerError.
        """
        # A session of its own, so that a terminal's Ctrl-C does not reach it.
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "orchestrator.load"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
            limit=_LONGEST_LINE_BYTES,
        )
        self._reading = asyncio.create_task(self._read())
        self._tell(self._order.model_dump_json())
        ready = asyncio.create_task(self._ready.wait())
        done, _ = await asyncio.wait({ready, self._reading}, timeout=_READY_WITHIN_S, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if self._reading in done:
            await self._reading
        if not self._ready.is_set():
            await self.kill()
            raise LoadWorkerError(f"the load worker was not ready within {_READY_WITHIN_S:g} s")

    async def wait(self) -> None:
        """Return when the worker has ended as told. Raises LoadWorkerError when it ends in any other way."""
        assert self._reading is not None
        await asyncio.shield(self._reading)

    async def stop(self, instant: float) -> None:
        """Nothing is due from the instant on; return when the last outcome is recorded. Raises LoadWorkerError."""
        self._tell(f"stop {instant!r}")
        left_s = max(0.0, instant - self._clock.now()) + self._order.plan.timeout_ms / 1000 + _EXIT_WITHIN_S
        try:
            await asyncio.wait_for(self.wait(), left_s)
        except TimeoutError:
            await self.kill()
            raise LoadWorkerError(f"the load worker did not end within {left_s:.0f} s and was killed") from None

    async def kill(self) -> None:
        """End it at once; its outstanding requests are lost."""
        process = self._started()
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        if self._reading is not None:
            await asyncio.gather(self._reading, return_exceptions=True)

    def _started(self) -> asyncio.subprocess.Process:
        if self._process is None:
            raise LoadWorkerError("the load worker was not started")
        return self._process

    def _tell(self, line: str) -> None:
        stdin = self._started().stdin
        assert stdin is not None
        if not stdin.is_closing():
            stdin.write(line.encode() + b"\n")

    async def _read(self) -> None:
        process = self._started()
        assert process.stdout is not None
        assert process.stderr is not None
        errors = asyncio.create_task(self._read_errors(process.stderr))
        async for line in process.stdout:
            self._take(OBSERVATION.validate_json(line))
        await errors
        code = await process.wait()
        if code != 0 or not self._ended:
            last = self._errors[-1] if self._errors else "it said nothing"
            raise LoadWorkerError(f"the load worker of source {self._order.plan.source} ended with code {code}: {last}")

    async def _read_errors(self, stream: asyncio.StreamReader) -> None:
        async for line in stream:
            self._errors.append(line.decode(errors="replace").rstrip())

    def _take(self, line: Observation) -> None:
        self._record(line)
        if isinstance(line, LoadPlanLine):
            self._ready.set()
        elif isinstance(line, LoadEndLine):
            self._ended = True
        elif isinstance(line, TallyLine) and line.second > self.live.second:
            self.live = live_of(line)


def live_of(line: TallyLine) -> Live:
    """One whole second for the progress display."""
    routes = line.routes.values()
    failed = sum(count for route in routes for outcome, count in route.counts.items() if outcome in FAILED)
    return Live(line.second, sum(route.due for route in routes), failed, line.lagged)
