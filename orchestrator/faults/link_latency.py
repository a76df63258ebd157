"""`link_latency`: answers of a dependency come late, through a latency toxic on its link. Held."""

from __future__ import annotations

from random import Random
from typing import Self

from pydantic import Field, model_validator

from orchestrator.faults.base import BlastRadius, Exposure, Proof, Receipt, Surroundings
from orchestrator.faults.base import Settings as BaseSettings
from orchestrator.faults.link import CANARY_TIMEOUT_S, Link

FELT_RATIO = 0.9
"""A canary that takes this share of the delay longer than before has felt it: chunks are delayed from their arrival."""


class Settings(BaseSettings):
    """`delay_ms` is added to each answer of the dependency; `jitter_ms` varies it both ways."""

    hold_s: float = Field(gt=0)
    delay_ms: int = Field(gt=0, le=60_000)
    jitter_ms: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _some_delay_is_left(self) -> Self:
        if self.jitter_ms >= self.delay_ms:
            raise ValueError("jitter_ms must be less than delay_ms: a delay that may be none could not be felt")
        return self


class LinkLatency:
    """A downstream latency toxic, felt by a canary through the link."""

    def __init__(self, surroundings: Surroundings, settings: Settings) -> None:
        self._around = surroundings
        self._settings = settings
        self._link = Link(surroundings)
        self._toxic = f"chaos-{surroundings.run_id}-{surroundings.fault}"

    async def preview(self) -> BlastRadius:
        return await self._link.preview()

    async def prepare(self, rng: Random) -> Receipt:
        proxy = await self._link.clean_proxy()
        return Receipt(
            fault=self._around.fault,
            kind="link_latency",
            run_id=self._around.run_id,
            settings=self._settings.model_dump(mode="json"),
            target=f"link {proxy.name}: {proxy.listen} to {proxy.upstream}",
            data={
                "toxic": self._toxic,
                "listen": proxy.listen,
                "upstream": proxy.upstream,
                "canary_s": await self._link.quick_canary_s(proxy.listen),
                **await self._link.counts(),
            },
        )

    async def exposure(self, receipt: Receipt) -> Exposure:
        return await self._link.exposure(receipt)

    async def inject(self, receipt: Receipt) -> None:
        await self._link.toxiproxy.add_toxic(
            self._link.role.proxy,
            self._toxic,
            kind="latency",
            stream="downstream",
            attributes={"latency": self._settings.delay_ms, "jitter": self._settings.jitter_ms},
        )

    async def prove(self, receipt: Receipt) -> Proof:
        before = receipt.data["canary_s"]
        assert isinstance(before, float)
        slowed = await self._link.slowed_canary_s(str(receipt.data["listen"]))
        words = f"a canary took {slowed * 1000:.0f} ms through the link, {before * 1000:.0f} ms before"
        least_s = (self._settings.delay_ms - self._settings.jitter_ms) / 1000
        late = slowed - before >= FELT_RATIO * min(least_s, CANARY_TIMEOUT_S)
        return Proof("felt" if late else "read_back", words)

    async def heal(self, receipt: Receipt) -> None:
        await self._link.clean(receipt, toxics=[str(receipt.data["toxic"])])

    async def close(self) -> None:
        await self._link.close()
