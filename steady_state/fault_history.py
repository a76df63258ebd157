"""The life of each planned fault as it was recorded: when it was injected, felt, healed, and who used its target."""

from __future__ import annotations

import math
from dataclasses import dataclass

from steady_state.instants import Instant
from steady_state.judged_plan import JudgedFault
from steady_state.observations import FaultLine
from steady_state.recording import Recording


@dataclass(frozen=True, slots=True)
class FaultHistory:
    """One planned fault and what became of it. `planned` is the instant of the plan on the run's clock."""

    fault: JudgedFault
    planned: Instant
    attempted: Instant | None = None
    """I: just before the write. The window begins here even when the write was never acknowledged: it may have had its effect."""
    injected: Instant | None = None
    """The same instant, once the write was acknowledged."""
    felt: Instant | None = None
    proof: str = ""
    lost: str = ""
    """What the second proof saw where the effect was no longer felt; empty where it was, or where nobody looked."""
    healed: Instant | None = None
    taken_away: bool = False
    """Whether the heal was read back (a one-shot fault heals by itself, but what it left behind is looked for too)."""
    exposure: int | None = None
    exposure_source: str = ""
    target: str = ""
    trouble: str = ""

    @property
    def name(self) -> str:
        return self.fault.name

    @property
    def late_s(self) -> float | None:
        """How far the injection lay from its instant (either way)."""
        return None if self.injected is None else abs(self.injected - self.planned)


def read_faults(recording: Recording, timeline: Instant) -> list[FaultHistory]:
    """Each planned fault with its recorded steps, in the order of the plan's instants."""
    planned = sorted(recording.plan.faults, key=lambda fault: fault.at_s)
    return [_history(fault, timeline + fault.at_s, [line for line in recording.faults if line.fault == fault.name]) for fault in planned]


def _history(fault: JudgedFault, planned: Instant, lines: list[FaultLine]) -> FaultHistory:
    steps = {line.phase: line for line in lines}
    injecting = steps.get("injecting")
    injected = steps.get("injected")
    proof = steps.get("proof")
    exposure = steps.get("exposure")
    healed = steps.get("healed")
    still = steps.get("still_felt")
    troubles = [str(line.data.get("reason", "")) for line in lines if line.phase in ("failed", "heal_failed")]
    felt = proof is not None and proof.data.get("grade") == "felt"
    return FaultHistory(
        fault=fault,
        planned=planned,
        attempted=injecting.t if injecting else None,
        injected=injecting.t if injecting and injected else None,
        felt=proof.t if proof and felt else None,
        proof=str(proof.data.get("detail", "")) if proof else "",
        lost=_lost(still),
        healed=_heal_instant(fault, injecting, healed),
        taken_away=healed is not None,
        exposure=_integer(exposure.data.get("count")) if exposure else None,
        exposure_source=str(exposure.data.get("source", "")) if exposure else "",
        target=str(steps["prepared"].data.get("target", "")) if "prepared" in steps else "",
        trouble="; ".join(troubles),
    )


def _lost(still: FaultLine | None) -> str:
    if still is None or still.data.get("grade") == "felt":
        return ""
    return str(still.data.get("detail", "")) or "no look succeeded"


def _heal_instant(fault: JudgedFault, injecting: FaultLine | None, healed: FaultLine | None) -> Instant | None:
    """H: the read-back of the heal; I itself for a one-shot fault (design 6)."""
    if fault.hold_s == 0:
        return injecting.t if injecting else None
    return healed.t if healed else None


def _integer(value: object) -> int | None:
    return int(value) if isinstance(value, int | float) and math.isfinite(value) else None
