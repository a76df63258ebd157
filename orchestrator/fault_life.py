"""The life of one fault on the timeline: prepared, exposed, injected at its instant, proven, held, healed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random
from typing import Literal, Protocol, TypeVar

from pydantic import JsonValue

from orchestrator.errors import HarnessError, HealFailed, OrchestratorError, TargetError
from orchestrator.faults.base import BlastRadius, Fault, Proof, Receipt
from orchestrator.ledger import Ledger
from orchestrator.plan import PREPARE_LEAD_S, PlannedFault
from probes.clock import Clock
from steady_state.observations import FaultLine, Observation

EXPOSURE_LEAD_S = 1.0
"""The target's counters are read again this long before the injection: reading must not make it late."""
CALL_S = 8.0
"""No call of a fault to its target may take longer."""
HEAL_S = 3 * CALL_S
"""Taking a fault away may take several calls."""
PROOF_WITHIN_S = 10.0
"""Source: design 6, felt within 10 s."""
PROOF_PERIOD_S = 0.1
STILL_FELT_LEAD_S = 6.0
"""Before the end of a hold: two canaries of a link may wait in vain (2 s each, and half of that in the client)."""
GRADES = ("acknowledged", "read_back", "felt")

T = TypeVar("T")
Step = Literal["prepared", "exposure", "injecting", "injected", "proof", "still_felt", "healing", "healed", "failed", "heal_failed"]


class Mirror(Protocol):
    """A copy of the ledger away from this machine."""

    async def follow(self) -> None:
        """Make it say what the ledger says now. Raises TargetError."""
        ...


@dataclass(slots=True)
class Course:
    """What became of one fault, as plain JSON for the journal."""

    scheduled_s: float
    injected: bool = False
    drift_s: float | None = None
    felt: bool = False
    healed: bool = False
    trouble: str = ""


@dataclass(slots=True)
class FaultLife:
    """Runs one fault. `start` is the instant of minute 0; `aborted` ends every wait."""

    planned: PlannedFault
    fault: Fault
    ledger: Ledger
    record: Callable[[Observation], None]
    clock: Clock
    aborted: asyncio.Event
    start: float
    rng: Random
    tell: Callable[[str], None]
    objection: Callable[[BlastRadius], str]
    """Why so much may not be touched; empty when it may."""
    mirror: Mirror | None = None
    receipt: Receipt | None = None
    course: Course = field(init=False)
    _over: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.course = Course(self.planned.at_s)

    async def settled(self) -> None:
        """Return when the life is over: healed, or known not to be."""
        await self._over.wait()

    async def run(self) -> Course:
        """From preparation to the verified heal. Trouble is recorded and named in the course, never raised."""
        instant = self.start + self.planned.at_s
        try:
            receipt = await self._prepare(instant)
            if receipt is not None and await self._wait_until(instant):
                await self._injected(receipt)
        except Exception as error:  # noqa: BLE001 - the named edge: whatever a fault runs into is recorded, and then it is healed
            self._report("failed", {"reason": self._troubled(error)})
        finally:
            await self._end()
        return self.course

    async def _end(self) -> None:
        """Heal and let go; whatever happens, the life is over afterwards."""
        try:
            await self._heal()
            await self._bounded(self.fault.close())
        except Exception as error:  # noqa: BLE001 - the named edge: nobody would hear it, and the run waits for this end
            self._troubled(error)
        finally:
            self._over.set()

    async def _heal(self) -> None:
        """Take the fault away if a receipt is open. A recording that cannot be written does not keep us from it."""
        receipt = self.receipt
        if receipt is None:
            return
        self._report("healing")
        try:
            async with asyncio.timeout(HEAL_S):
                await self.fault.heal(receipt)
        except Exception as error:  # noqa: BLE001 - the named edge: a fault that is left behind is said so, whatever the reason
            remedy = error.remedy if isinstance(error, HealFailed) else "take it away as the ledger's receipt says"
            self._report("heal_failed", {"reason": self._troubled(error), "remedy": remedy})
            return
        self._report("healed")
        self.course.healed = True
        self.ledger.close(receipt)
        self.receipt = None
        try:
            await self._mirrored()
        except OrchestratorError as error:
            # The fault is gone; what still names it is found by the next run's guards.
            self._troubled(error)

    async def _prepare(self, instant: float) -> Receipt | None:
        if not await self._wait_until(instant - PREPARE_LEAD_S):
            return None
        # Again, as the target is now: what was allowed at minute 0 may be too much by its instant.
        objection = self.objection(await self._bounded(self.fault.preview()))
        if objection:
            raise TargetError(f"{self.planned.name}: {objection}")
        receipt = await self._bounded(self.fault.prepare(self.rng))
        self._note("prepared", {"target": receipt.target})
        if not await self._wait_until(instant - EXPOSURE_LEAD_S):
            return None
        exposure = await self._bounded(self.fault.exposure(receipt))
        self._note("exposure", {"count": exposure.count, "source": exposure.source})
        self.ledger.open(receipt)
        self.receipt = receipt
        await self._mirrored()
        return receipt

    async def _mirrored(self) -> None:
        """Raises TargetError: without its receipt where others find it nothing is injected."""
        if self.mirror is not None:
            await self._bounded(self.mirror.follow())

    async def _injected(self, receipt: Receipt) -> None:
        began = self.clock.now()
        self.course.drift_s = round(began - self.start - self.planned.at_s, 4)
        self._note("injecting", t=began)
        await self._bounded(self.fault.inject(receipt))
        self.course.injected = True
        self._note("injected")
        proving = asyncio.create_task(self._prove(receipt, "proof", began + PROOF_WITHIN_S))
        try:
            await self._held(receipt, began + self.planned.hold_s)
            if not self.planned.hold_s:
                await asyncio.wait({proving})
        finally:
            proving.cancel()
            (outcome,) = await asyncio.gather(proving, return_exceptions=True)
        if isinstance(outcome, Exception):
            raise outcome

    async def _held(self, receipt: Receipt, end: float) -> None:
        """Until the hold is over; shortly before, a look whether the effect is still there: something else may have taken it away."""
        if not (self.planned.hold_s and await self._wait_until(end - STILL_FELT_LEAD_S) and self.course.felt):
            await self._wait_until(end)
            return
        looking = asyncio.create_task(self._prove(receipt, "still_felt", end))
        try:
            await self._wait_until(end)
        finally:
            looking.cancel()
            (outcome,) = await asyncio.gather(looking, return_exceptions=True)
        if isinstance(outcome, Exception):
            raise outcome

    async def _prove(self, receipt: Receipt, step: Step, until: float) -> None:
        """Look until the effect is felt or the time for it is over; record the best proof, also when the hold ends first."""
        best = Proof("acknowledged", "no look succeeded")
        try:
            while best.grade != "felt" and self.clock.now() < until and not self.aborted.is_set():
                best = max(best, await self._look(receipt), key=lambda proof: GRADES.index(proof.grade))
                if best.grade != "felt":
                    await self.clock.sleep_until(self.clock.now() + PROOF_PERIOD_S)
        finally:
            felt = best.grade == "felt"
            if step == "proof":
                self.course.felt = felt
            # An abort ends the second look before its time: that says nothing.
            if step == "proof" or felt or not self.aborted.is_set():
                self._report(step, {"grade": best.grade, "detail": best.detail})

    async def _look(self, receipt: Receipt) -> Proof:
        try:
            return await self._bounded(self.fault.prove(receipt))
        except TargetError as error:
            return Proof("acknowledged", str(error))

    async def _bounded(self, work: Awaitable[T]) -> T:
        """The work within CALL_S. Raises TargetError when it takes longer."""
        try:
            async with asyncio.timeout(CALL_S):
                return await work
        except TimeoutError as error:
            raise TargetError(f"{self.planned.name}: the target did not answer within {CALL_S:g} s") from error

    async def _wait_until(self, instant: float) -> bool:
        """True when the instant came, False when the run was aborted first."""
        sleeping = asyncio.ensure_future(self.clock.sleep_until(instant))
        aborting = asyncio.ensure_future(self.aborted.wait())
        try:
            await asyncio.wait({sleeping, aborting}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            aborting.cancel()
        return not self.aborted.is_set()

    def _troubled(self, error: Exception) -> str:
        """The error in words, kept for the journal beside what went wrong before."""
        text = str(error) if isinstance(error, OrchestratorError) else f"{type(error).__name__}: {error}".rstrip(": ")
        self.course.trouble = "; ".join(filter(None, (self.course.trouble, text)))
        return text

    def _report(self, phase: Step, data: dict[str, JsonValue] | None = None) -> None:
        """A note that must not stop what comes next."""
        try:
            self._note(phase, data)
        except HarnessError as error:
            self._troubled(error)

    def _note(self, phase: Step, data: dict[str, JsonValue] | None = None, *, t: float | None = None) -> None:
        instant = self.clock.now() if t is None else t
        self.tell(f"{self.planned.name}: {phase.replace('_', ' ')}")
        self.record(FaultLine(t=instant, fault=self.planned.name, phase=phase, data=data or {}))
