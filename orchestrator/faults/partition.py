"""`partition`: a dependency is cut off, either refusing connections or swallowing all bytes. Held."""

from __future__ import annotations

from random import Random
from typing import Literal

from pydantic import Field

from orchestrator.faults.base import BlastRadius, Exposure, Proof, Receipt, Surroundings
from orchestrator.faults.base import Settings as BaseSettings
from orchestrator.faults.link import Link


class Settings(BaseSettings):
    """`refused`: the link's listener is closed. `blackhole`: it accepts, and nothing ever comes through either way."""

    hold_s: float = Field(gt=0)
    mode: Literal["refused", "blackhole"]


class Partition:
    """The proxy disabled, or timeout toxics without end in both directions."""

    def __init__(self, surroundings: Surroundings, settings: Settings) -> None:
        self._around = surroundings
        self._settings = settings
        self._link = Link(surroundings)
        name = f"chaos-{surroundings.run_id}-{surroundings.fault}"
        self._toxics = {"upstream": f"{name}-up", "downstream": f"{name}-down"} if settings.mode == "blackhole" else {}

    async def preview(self) -> BlastRadius:
        return await self._link.preview()

    async def prepare(self, rng: Random) -> Receipt:
        proxy = await self._link.clean_proxy()
        await self._link.quick_canary_s(proxy.listen)
        return Receipt(
            fault=self._around.fault,
            kind="partition",
            run_id=self._around.run_id,
            settings=self._settings.model_dump(mode="json"),
            target=f"link {proxy.name}: {proxy.listen} to {proxy.upstream}",
            data={
                "toxics": list(self._toxics.values()),
                "listen": proxy.listen,
                "upstream": proxy.upstream,
                **await self._link.counts(),
            },
        )

    async def exposure(self, receipt: Receipt) -> Exposure:
        return await self._link.exposure(receipt)

    async def inject(self, receipt: Receipt) -> None:
        if self._settings.mode == "refused":
            await self._link.toxiproxy.set_enabled(self._link.role.proxy, enabled=False)
        for stream, toxic in self._toxics.items():
            await self._link.toxiproxy.add_toxic(self._link.role.proxy, toxic, kind="timeout", stream=stream, attributes={"timeout": 0})

    async def prove(self, receipt: Receipt) -> Proof:
        look = await self._link.canary(str(receipt.data["listen"]))
        if look.answered:
            return Proof("read_back", "a canary still came through the link")
        return Proof("felt", f"a canary through the link got no answer ({look.why})")

    async def heal(self, receipt: Receipt) -> None:
        await self._link.clean(receipt, toxics=list(self._toxics.values()))

    async def close(self) -> None:
        await self._link.close()
