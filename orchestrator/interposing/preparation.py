"""The interpositions of one run: led before the load starts, proven under it, taken away at the end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from orchestrator.errors import HealFailed, OrchestratorError, RefusedError, TargetError
from orchestrator.fault_life import HEAL_S
from orchestrator.faults.base import Receipt
from orchestrator.interposing.interposition import Interposition
from orchestrator.interposing.links import InterposedLink
from orchestrator.interposing.way_back import WayBack
from orchestrator.receipts import Receipts
from probes.clients.unreachable import Unreachable
from probes.clock import Clock
from probes.target import TargetDescription


@dataclass(slots=True)
class Preparation:
    """All links of a run. `say` puts a sentence on the timeline."""

    description: TargetDescription
    run_id: str
    receipts: Receipts
    clock: Clock
    say: Callable[[str], None]
    _led: list[Interposition] = field(default_factory=list)
    _opened: list[Receipt] = field(default_factory=list)
    _leading: asyncio.Task[None] | None = None

    async def begin(self, links: list[InterposedLink]) -> None:
        """Lead each link through its proxy, its receipt first. Raises RefusedError; what was begun is in the ledger."""
        for link in links:
            try:
                one = Interposition(link, self.description, self.clock)
                self._led.append(one)
                seen = await one.look()
                receipt = one.receipt(seen, self.run_id)
                self._opened.append(receipt)
                await self.receipts.open(receipt)
                # An abort must not leave a write under way that would land after the way back.
                self._leading = asyncio.create_task(one.lead(seen, self.run_id))
                await asyncio.shield(self._leading)
            except (TargetError, Unreachable) as error:
                raise RefusedError(f"{link.name} could not be interposed: {error}") from error
            self.say(f"interposed: {receipt.target} in pod {seen.pod.name}")

    async def prove(self) -> None:
        """Raises RefusedError where the application's traffic does not pass its proxy."""
        await asyncio.gather(*(self._proven(one) for one in self._led))

    async def _proven(self, one: Interposition) -> None:
        try:
            found = await one.prove()
        except TargetError as error:
            raise RefusedError(f"{one.link.name} is interposed in vain: {error}") from error
        self.say(f"the application passes proxy {one.link.proxy}: {found}")

    async def end(self) -> HealFailed | None:
        """Take away whatever is open; what is left, and how to take it away by hand, after all were tried."""
        if self._leading is not None:
            await asyncio.wait({self._leading}, timeout=HEAL_S)
        await asyncio.gather(*(one.close() for one in self._led), return_exceptions=True)
        left = [one for one in await asyncio.gather(*(self._healed(receipt) for receipt in self._opened)) if one is not None]
        if not left:
            return None
        failed = HealFailed("; ".join(one.what for one in left), "; ".join(one.remedy for one in left))
        self.say(str(failed))
        return failed

    async def _healed(self, receipt: Receipt) -> HealFailed | None:
        way_back = WayBack(receipt, self.description.cluster, self.clock)
        try:
            async with asyncio.timeout(HEAL_S):
                await way_back.heal(receipt)
            await self.receipts.close(receipt)
        except HealFailed as failed:
            return failed
        except (OrchestratorError, TimeoutError) as error:
            return HealFailed(f"{receipt.target}: {str(error) or 'time-out'}", f"orchestrator heal runs/{self.run_id}")
        finally:
            await way_back.close()
        self.say(f"no longer interposed: {receipt.target}, restored and read back")
        return None
