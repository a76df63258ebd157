"""Faults of an earlier run that are still there: the next run on the same target is refused."""

from __future__ import annotations

from pathlib import Path

from orchestrator.errors import OrchestratorError, RefusedError
from orchestrator.ledger import Ledger
from orchestrator.mirrored_heal import mirrored
from orchestrator.run_directory import RunDirectory, run_directories
from orchestrator.targeting import described
from probes.clients.unreachable import Unreachable
from probes.target import TargetDescription


def refuse_leftovers(runs: Path, description: TargetDescription) -> None:
    """Raises RefusedError, naming the command that heals, when a run below `runs` has open receipts on this target."""
    for directory in run_directories(runs):
        receipts = Ledger(directory.ledger).open_receipts()
        if receipts and _same_target(directory, description):
            faults = ", ".join(receipt.fault for receipt in receipts)
            raise RefusedError(
                f"run {directory.run_id} left {faults} on {description.name}; heal it first: orchestrator heal {runs / directory.run_id}"
            )


async def mirrored_leftovers(description: TargetDescription) -> list[str]:
    """Sentences against a run, by what the target's own namespace says: also of runs from other folders and machines."""
    try:
        found = await mirrored(description)
    except (OrchestratorError, Unreachable) as error:
        return [f"whether an earlier run left something on {description.name} cannot be told: {error}"]
    if found is None:
        return []
    run, receipts = found
    faults = ", ".join(receipt.fault for receipt in receipts)
    return [f"run {run} has {faults} on {description.name}; when it goes no more, heal it: orchestrator heal --target {description.name}"]


def _same_target(directory: RunDirectory, description: TargetDescription) -> bool:
    """By its gateway: names are chosen by people. What cannot be read may be the same."""
    try:
        earlier = described(directory.target.read_text(encoding="utf-8"), source=str(directory.target), strict=False)
    except (OSError, OrchestratorError):
        return True
    return earlier.gateway_url == description.gateway_url
