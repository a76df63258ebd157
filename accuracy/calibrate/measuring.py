"""One run of the product against the scripted target: its own load, samplers and recorder, and no fault of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from accuracy.calibrate.cases import Case
from accuracy.calibrate.description import description_of, plan_of, script_of
from accuracy.calibrate.judging import Measured
from accuracy.calibrate.ledger import Ledger
from accuracy.calibrate.process import ScriptedTarget
from orchestrator.abort import AbortLatch
from orchestrator.binding import bind
from orchestrator.errors import HarnessError
from orchestrator.run import Run, Setting
from orchestrator.run_directory import RunDirectory, create_run_directory
from probes.clock import Clock
from steady_state.instants import Instant
from steady_state.observations import OBSERVATION

RUNS = Path("runs") / "calibrate"
LOOK_S = 0.2


@dataclass(frozen=True, slots=True)
class Attempt:
    """Which cases, and what all random choices (phases of arrivals, retirement of connections) come from."""

    cases: Sequence[Case]
    seed: int


async def measure(attempt: Attempt, clock: Clock) -> Measured:
    """Run all cases side by side, once. Raises RefusedError where the target is not steady, HarnessError where the run was lost."""
    target = await ScriptedTarget.start(script_of(attempt.cases))
    try:
        directory = create_run_directory(RUNS, wall=clock.wall(), tag=Random(attempt.seed).getrandbits(16))
        minute_0 = await _run(attempt, target, directory, clock)
        ledger = await target.finish()
        directory.save("target-ledger.json", ledger.text() + "\n")
    finally:
        await target.kill()
    return _measured(attempt, directory, ledger, minute_0)


async def _run(attempt: Attempt, target: ScriptedTarget, directory: RunDirectory, clock: Clock) -> Instant:
    """Prepare, baseline check, timeline, drain, as `chaos run` does. Returns minute 0."""
    description, plan = description_of(attempt.cases, target.url), plan_of(attempt.cases)
    setting = Setting(plan, bind(plan, description), description, directory, attempt.seed)
    latch = AbortLatch()
    run = Run(setting, clock, latch)
    completed = False
    try:
        await run.prepare()
        await run.wait_until_steady()
        minute_0 = await run.begin()
        await target.begin(minute_0)
        await _wait(clock, minute_0 + plan.length_s, latch)
        completed = not latch.is_set()
    finally:
        await run.finish("completed" if completed else "error", latch.reason)
    if not completed:
        raise HarnessError(f"the run was lost: {latch.reason}")
    return minute_0


async def _wait(clock: Clock, instant: Instant, latch: AbortLatch) -> None:
    """Until the instant, or until the run is lost."""
    while (now := clock.now()) < instant and not latch.is_set():
        await clock.sleep_until(min(instant, now + LOOK_S))


def _measured(attempt: Attempt, directory: RunDirectory, ledger: Ledger, minute_0: Instant) -> Measured:
    with directory.recording.open(encoding="utf-8") as lines:
        parsed = [OBSERVATION.validate_json(line) for line in lines]
    limits = plan_of(attempt.cases).criteria.limits
    return Measured(parsed, ledger, minute_0, limits)


def measure_now(attempt: Attempt, clock: Clock) -> Measured:
    """As `measure`, in a loop of its own."""
    return asyncio.run(measure(attempt, clock))
