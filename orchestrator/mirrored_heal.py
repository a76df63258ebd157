"""The way back from a run whose directory is not here: its receipts are read from the target's namespace."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from orchestrator.errors import RefusedError, TargetError
from orchestrator.faults.base import Receipt
from orchestrator.healing import Kept, Leftover, heal_all, told
from orchestrator.ledger_mirror import receipts_in, rewrite
from orchestrator.target_lease import TargetLease
from orchestrator.targets.lease import LeaseClient
from orchestrator.targets.receipt_map import MapState, ReceiptMap
from probes.clock import Clock
from probes.target import TargetDescription


async def mirrored(description: TargetDescription) -> tuple[str, list[Receipt]] | None:
    """Whose receipts are open in the namespace, and which; None where there are none, or no namespace. Touches nothing.

    Raises TargetError or Unreachable when it cannot be asked, HarnessError when the receipts cannot be read.
    """
    async with _map_of(description) as copy:
        seen = None if copy is None else await copy.read()
        return None if seen is None else (seen.run, receipts_in(seen))


async def look(description: TargetDescription) -> list[Leftover]:
    """The same for people. Raises TargetError, Unreachable or HarnessError."""
    found = await mirrored(description)
    return [] if found is None else [told(found[0], receipt, "open") for receipt in found[1]]


async def heal_mirrored(description: TargetDescription, clock: Clock) -> list[Leftover]:
    """Heal every mirrored receipt and look, unless its run still goes, and take the copy away.

    A run goes as long as its Lease is renewed. Raises TargetError, Unreachable or HarnessError when the namespace cannot be asked.
    """
    async with _map_of(description) as copy:
        seen = None if copy is None else await copy.read()
        if copy is None or seen is None:
            return []
        lease = TargetLease(LeaseClient(description.cluster), seen.run, clock)
        try:
            if await lease.is_renewed():
                return [Leftover(seen.run, "", "", "", "live")]
            # Under the name of the run that is no more: nobody else comes before its faults are gone.
            await lease.take(lambda _said: None)
            keeping = asyncio.create_task(lease.keep())
            try:
                found = await _healed(copy, seen, description, clock)
            finally:
                keeping.cancel()
                await asyncio.gather(keeping, return_exceptions=True)
            if all(one.clean for one in found):
                with contextlib.suppress(TargetError):
                    await lease.give_up()
            return found
        except RefusedError as error:
            return [Leftover(seen.run, "", "", "", "left", str(error), "run `orchestrator heal` again when that run is over")]
        finally:
            lease.close()


async def _healed(copy: ReceiptMap, seen: MapState, description: TargetDescription, clock: Clock) -> list[Leftover]:
    receipts = receipts_in(seen)
    closed: list[str] = []
    kept = Kept(
        seen.run, lambda receipt: closed.append(receipt.fault), f"take it away as the receipt in {copy.place} says, then remove that"
    )
    found = await heal_all(kept, receipts, description, clock)
    await rewrite(copy, seen.run, [receipt for receipt in receipts if receipt.fault not in closed], seen)
    return found


@contextlib.asynccontextmanager
async def _map_of(description: TargetDescription) -> AsyncIterator[ReceiptMap | None]:
    target = description.kubernetes
    if target is None or not target.mirror_ledger:
        yield None
        return
    # Its client takes a moment to load.
    copy = await asyncio.to_thread(ReceiptMap, target)
    try:
        yield copy
    finally:
        copy.close()
