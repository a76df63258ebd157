"""What a fault is: the protocol, and the data that goes in and out."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from probes.clock import Clock
from probes.target import Role, TargetDescription


class Settings(BaseModel):
    """Base of the arguments that an experiment gives to a fault. `hold_s` is 0 for a one-shot fault."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: str
    hold_s: float = Field(default=0.0, ge=0)


class Receipt(BaseModel):
    """JSON that suffices to heal: in the ledger before the first write to the target."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fault: str = Field(description="name of the activity")
    kind: str
    run_id: str
    settings: dict[str, JsonValue]
    target: str = Field(description="what is hit, for people")
    data: dict[str, JsonValue] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BlastRadius:
    """What a fault would touch: `count` of `total` things of one kind.

    `capped`: they are pods, which the target description caps. `may_take_last`: the plan says that none needs to be left.
    """

    what: str
    count: int
    total: int
    capped: bool = False
    may_take_last: bool = False


@dataclass(frozen=True, slots=True)
class Exposure:
    """Traffic at the target before the injection, by the counter that `source` names."""

    count: int
    source: str


@dataclass(frozen=True, slots=True)
class Proof:
    """How well the effect is proven. Only `felt` proves (design 6)."""

    grade: Literal["acknowledged", "read_back", "felt"]
    detail: str


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a fault works with: the platform, its role on it, and the clock."""

    fault: str
    run_id: str
    description: TargetDescription
    role: Role
    clock: Clock


class Fault(Protocol):
    """One way to break one target, and the way back. The run owns the hold.

    Every method raises TargetError when the target does not do what it is asked; `heal` raises HealFailed.
    """

    async def preview(self) -> BlastRadius:
        """Count what would be touched; touches nothing."""
        ...

    async def prepare(self, rng: Random) -> Receipt:
        """Pick the target and read what `exposure` and `prove` compare with; touches nothing."""
        ...

    async def exposure(self, receipt: Receipt) -> Exposure:
        """Traffic at the target since `prepare`, by its own counters."""
        ...

    async def inject(self, receipt: Receipt) -> None:
        """The write. Its answer acknowledges, no more."""
        ...

    async def prove(self, receipt: Receipt) -> Proof:
        """One look for the effect; the run repeats it until it is felt or the time for it is over."""
        ...

    async def heal(self, receipt: Receipt) -> None:
        """Take the fault away and look: idempotent, harmless where nothing is left. Raises HealFailed with the manual remedy."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...
