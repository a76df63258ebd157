"""A fault that does what a script says and remembers when it was asked, and the life of it in virtual time."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random
from typing import Any

from pydantic import BaseModel
from virtual_time import START_S, VirtualClock, run_virtual

from orchestrator.errors import HarnessError
from orchestrator.fault_life import Course, FaultLife
from orchestrator.faults.base import BlastRadius, Exposure, Proof, Receipt, Settings
from orchestrator.ledger import Ledger
from orchestrator.plan import PlannedFault
from steady_state.observations import FaultLine

Act = Callable[[], Awaitable[Any]]
AT_S = 40.0
"""The fault's planned instant, from minute 0 (which is START_S)."""
FELT, READ_BACK = Proof("felt", "it hurts"), Proof("read_back", "it is there")


def receipt(fault: str = "cut") -> Receipt:
    return Receipt(fault=fault, kind="partition", run_id="run-1", settings={"role": "link"}, target="link x")


def gives(value: Any, after_s: float = 0.0) -> Act:
    async def act() -> Any:
        await asyncio.sleep(after_s)
        return value

    return act


def raises(error: Exception, after_s: float = 0.0) -> Act:
    async def act() -> None:
        await asyncio.sleep(after_s)
        raise error

    return act


async def hangs() -> None:
    await asyncio.sleep(10_000)


@dataclasses.dataclass
class ScriptedFault:
    """Each step does what `script` says for it, else what it should. `calls` are steps with the seconds since minute 0."""

    script: dict[str, Act]
    ledger: Ledger
    calls: list[tuple[str, float]] = dataclasses.field(default_factory=list)
    open_at_inject: list[str] = dataclasses.field(default_factory=list)

    async def _do(self, step: str, default: Any) -> Any:
        self.calls.append((step, round(asyncio.get_running_loop().time() - START_S, 3)))
        return await self.script.get(step, gives(default))()

    async def preview(self) -> BlastRadius:
        return BlastRadius("links", 1, 1)

    async def prepare(self, rng: Random) -> Receipt:
        return await self._do("prepare", receipt())

    async def exposure(self, receipt: Receipt) -> Exposure:
        return await self._do("exposure", Exposure(7, "a counter"))

    async def inject(self, receipt: Receipt) -> None:
        self.open_at_inject = [one.fault for one in self.ledger.open_receipts()]
        await self._do("inject", None)

    async def prove(self, receipt: Receipt) -> Proof:
        return await self._do("prove", FELT)

    async def heal(self, receipt: Receipt) -> None:
        await self._do("heal", None)

    async def close(self) -> None:
        await self._do("close", None)

    def count(self, step: str) -> int:
        return [name for name, _ in self.calls].count(step)

    def at(self, step: str) -> float:
        return next(t for name, t in self.calls if name == step)


@dataclasses.dataclass
class ScriptedMirror:
    """Copies the ledger; `refuses` is raised instead, from the copy of that number on (the first is 0)."""

    ledger: Ledger
    refuses: Exception | None = None
    from_number: int = 0
    copies: list[list[str]] = dataclasses.field(default_factory=list)
    asked: int = 0

    async def follow(self) -> None:
        self.asked += 1
        if self.refuses is not None and self.asked > self.from_number:
            raise self.refuses
        self.copies.append([one.fault for one in self.ledger.open_receipts()])


@dataclasses.dataclass
class Told:
    """What became of one life."""

    course: Course
    fault: ScriptedFault
    lines: list[FaultLine]
    ledger: Ledger
    ended_s: float
    mirror: ScriptedMirror

    @property
    def phases(self) -> list[str]:
        return [line.phase for line in self.lines]

    def line(self, phase: str) -> FaultLine:
        return next(line for line in self.lines if line.phase == phase)

    def instant(self, phase: str) -> float:
        return round(self.line(phase).t - START_S, 3)


def live(
    folder: Path,
    script: dict[str, Act] | None = None,
    *,
    hold_s: float = 0.0,
    abort_at_s: float | None = None,
    unwritable_from: str = "",
    objection: str = "",
    mirror_refuses: Exception | None = None,
    mirror_from: int = 0,
) -> Told:
    """One life from minute 0 to its end. From the phase `unwritable_from` on the recording cannot be written."""

    async def main(clock: VirtualClock) -> Told:
        ledger = Ledger(folder / "ledger.jsonl")
        fault = ScriptedFault(script or {}, ledger)
        mirror = ScriptedMirror(ledger, mirror_refuses, mirror_from)
        lines: list[FaultLine] = []
        full = False

        def record(line: BaseModel) -> None:
            nonlocal full
            assert isinstance(line, FaultLine)
            full = full or line.phase == unwritable_from
            if full:
                raise HarnessError("no space left on device")
            lines.append(line)

        aborted = asyncio.Event()
        if abort_at_s is not None:
            asyncio.get_running_loop().call_at(START_S + abort_at_s, aborted.set)
        life = FaultLife(
            planned=PlannedFault("cut", "partition", AT_S, Settings(role="link", hold_s=hold_s)),
            fault=fault,
            ledger=ledger,
            record=record,
            clock=clock,
            aborted=aborted,
            start=START_S,
            rng=Random(1),
            tell=lambda _text: None,
            objection=lambda radius: objection if radius.count else "",
            mirror=mirror,
        )
        course, _ = await asyncio.gather(life.run(), life.settled())
        return Told(course, fault, lines, ledger, round(clock.now() - START_S, 3), mirror)

    return run_virtual(main)
