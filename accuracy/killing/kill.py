"""One run killed at one moment, and the time until nothing of it is left."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import httpx

from accuracy.killing.life import Life, NotReachedError, life, target_of
from accuracy.killing.moments import Moment
from accuracy.killing.sandbox_leftovers import SandboxLeftovers
from orchestrator.ledger import Ledger

CLEAN_WITHIN_S = 30.0
LOOK_S = 0.02


@dataclass(frozen=True, slots=True)
class Killed:
    """What came of one kill. `open` are the receipts at the kill, `clean_after_s` None when something was left after all."""

    moment: str
    open: tuple[str, ...] = ()
    clean_after_s: float | None = None
    left: tuple[str, ...] = ()
    trouble: str = ""

    @property
    def good(self) -> bool:
        return self.clean_after_s is not None and not self.trouble

    @property
    def reached(self) -> bool:
        return not self.trouble

    def __str__(self) -> str:
        opened = ", ".join(self.open) or "nothing"
        if self.trouble:
            return f"{self.moment}: {self.trouble}"
        if self.clean_after_s is None:
            return f"{self.moment}: open {opened}; LEFT after {CLEAN_WITHIN_S:g} s: {', '.join(self.left)}"
        return f"{self.moment}: open {opened}; clean after {self.clean_after_s:.2f} s"


async def kill(moment: Moment, folder: Path, environment: Mapping[str, str]) -> Killed:
    """Start a run in the empty folder, kill its process at the moment, and watch. What kept it from being a kill is its trouble."""
    async with life(folder, environment) as victim:
        try:
            await victim.reached(moment)
        except NotReachedError as error:
            return Killed(str(moment), trouble=f"not killed: {error}")
        victim.process.send_signal(signal.SIGKILL)
        died = time.monotonic()
        await victim.process.wait()
        receipts = Ledger(victim.run / "ledger.jsonl").open_receipts()
        killed = Killed(str(moment), tuple(receipt.fault for receipt in reversed(receipts)))
        return await _watched(killed, died, victim, environment)


async def _watched(killed: Killed, died: float, victim: Life, environment: Mapping[str, str]) -> Killed:
    """Until the target is clean, and then until no process of the run is left. A look that fails says nothing yet."""
    async with SandboxLeftovers(target_of(environment)) as leftovers:
        left = await _left(leftovers)
        while left and time.monotonic() < died + CLEAN_WITHIN_S:
            await asyncio.sleep(LOOK_S)
            left = await _left(leftovers)
        clean_after_s = round(time.monotonic() - died, 2)
        while victim.left_behind() and time.monotonic() < died + CLEAN_WITHIN_S:
            await asyncio.sleep(LOOK_S)
        # A write that was under way when the run died must not come in after the heal.
        left = [*(left or await _left(leftovers)), *(f"process {pid}" for pid in victim.left_behind())]
    return replace(killed, clean_after_s=None if left else clean_after_s, left=tuple(left))


async def _left(leftovers: SandboxLeftovers) -> list[str]:
    try:
        return await leftovers.left()
    except httpx.HTTPError as error:
        return [f"the sandbox does not say what is left ({type(error).__name__})"]
