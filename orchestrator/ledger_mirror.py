"""The ledger's open receipts, copied to the target's namespace before each fault: a machine without the run's directory can heal."""

from __future__ import annotations

import asyncio
import json

from pydantic import ValidationError

from orchestrator.errors import HarnessError, TargetError
from orchestrator.faults.base import Receipt
from orchestrator.ledger import Ledger
from orchestrator.run_directory import RunDirectory
from orchestrator.targets.receipt_map import MapState, ReceiptMap
from probes.target import TargetDescription


class LedgerMirror:
    """The copy of one run's ledger. It says exactly what is open there, and is away when nothing is."""

    def __init__(self, client: ReceiptMap, ledger: Ledger, run_id: str) -> None:
        self._client = client
        self._ledger = ledger
        self._run_id = run_id
        # Faults that open and close at the same time must not overwrite each other's news.
        self._one_at_a_time = asyncio.Lock()

    async def follow(self) -> None:
        """Make the copy say what the ledger says now.

        Raises TargetError when the API server does not do it, when the open receipts are too many, or when the copy is another run's.
        """
        async with self._one_at_a_time:
            receipts = self._ledger.open_receipts()
            seen = await self._client.read()
            if seen is not None and seen.run != self._run_id:
                if receipts:
                    raise TargetError(f"{self._client.place} has open receipts of run {seen.run}: heal them first")
                return
            await rewrite(self._client, self._run_id, receipts, seen)

    def close(self) -> None:
        self._client.close()


async def rewrite(client: ReceiptMap, run_id: str, receipts: list[Receipt], seen: MapState | None) -> None:
    """Write what is open, or take the copy away where nothing is. Raises TargetError."""
    if receipts:
        await client.write(run_id, json.dumps([receipt.model_dump(mode="json") for receipt in receipts]), seen)
    elif seen is not None:
        await client.delete(seen)


def receipts_in(state: MapState) -> list[Receipt]:
    """The newest first. Raises HarnessError when they cannot be read."""
    try:
        return [Receipt.model_validate(one) for one in json.loads(state.text)]
    except (ValidationError, ValueError, TypeError) as error:
        raise HarnessError(f"the mirrored ledger of run {state.run} cannot be read; take away by hand what it names") from error


def mirror_of(description: TargetDescription, directory: RunDirectory) -> LedgerMirror | None:
    """The copy that a run keeps; None where the platform is no cluster, wants none, or ends with the run.

    Raises Unreachable when the kubeconfig cannot be used.
    """
    target = description.kubernetes
    if target is None or not target.mirror_ledger or directory.owned_sandbox.exists():
        return None
    return LedgerMirror(ReceiptMap(target), Ledger(directory.ledger), directory.run_id)
