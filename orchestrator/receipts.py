"""Receipts of what a run puts on the target beside its faults: in the ledger, and in its copy on the target."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.fault_life import Mirror
from orchestrator.faults.base import Receipt
from orchestrator.ledger import Ledger


@dataclass(slots=True)
class Receipts:
    """`mirror` is None where the target keeps no copy."""

    ledger: Ledger
    mirror: Mirror | None = None

    async def open(self, receipt: Receipt) -> None:
        """Before the first write. Raises HarnessError, or TargetError when the copy cannot be written."""
        self.ledger.open(receipt)
        await self._follow()

    async def close(self, receipt: Receipt) -> None:
        """After the way back was read back. Raises as `open` does."""
        self.ledger.close(receipt)
        await self._follow()

    async def _follow(self) -> None:
        if self.mirror is not None:
            await self.mirror.follow()
