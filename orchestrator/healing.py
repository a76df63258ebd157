"""The way back from a run that is over: every open receipt of its ledger is healed. The guardian and `orchestrator heal` share it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from orchestrator.errors import HealFailed, OrchestratorError, TargetError
from orchestrator.fault_life import HEAL_S
from orchestrator.faults.base import Receipt
from orchestrator.faults.kinds import fault_of
from orchestrator.interposing.way_back import INTERPOSITION
from orchestrator.ledger import Ledger
from orchestrator.ledger_mirror import mirror_of
from orchestrator.run_directory import RunDirectory
from orchestrator.run_lock import RunLock
from orchestrator.target_lease import lease_of
from orchestrator.targeting import described
from probes.clients.unreachable import Unreachable
from probes.clock import Clock
from probes.target import TargetDescription

State = Literal["open", "healed", "gone", "left", "live"]
BY_HAND = "take it away as the receipt in {ledger} says, then run `orchestrator heal` again"

AGAIN = "run `orchestrator heal` again when the API server answers"


@dataclass(frozen=True, slots=True)
class Leftover:
    """One receipt and what became of it.

    `state`: open (looked at only), healed (taken away, read back), gone (its sandbox is no more), left (not healed),
    live (its run is still going, or another heal is: nobody else touches it; then it has no fault). `remedy` is the manual
    command of one that is left.
    """

    run: str
    fault: str
    kind: str
    target: str
    state: State
    trouble: str = ""
    remedy: str = ""

    @property
    def clean(self) -> bool:
        return self.state in ("healed", "gone")


@dataclass(frozen=True, slots=True)
class Kept:
    """Where receipts are kept: of which run, how one is closed there, and what a person does when we cannot heal it."""

    run: str
    close: Callable[[Receipt], None]
    by_hand: str


def leftovers(directory: RunDirectory) -> list[Leftover]:
    """The open receipts of a run, the newest first; touches nothing. Raises HarnessError when the ledger cannot be read."""
    return [told(directory.run_id, receipt, "open") for receipt in Ledger(directory.ledger).open_receipts()]


async def heal(directory: RunDirectory, clock: Clock) -> list[Leftover]:
    """Heal every open receipt and look, then give up the run's lease. What cannot be healed is said, never raised.

    Raises HarnessError when the ledger cannot be read or written, PlanError when the saved target description is unreadable.
    """
    with RunLock(directory.lock) as lock:
        if not lock.take():
            return [Leftover(directory.run_id, "", "", "", "live")]
        ledger = Ledger(directory.ledger)
        receipts = ledger.open_receipts()
        if not directory.target.exists():
            # A run that ended before it had one has no receipts, and nothing to tell.
            trouble, remedy = f"{directory.target} is missing", BY_HAND.format(ledger=directory.ledger)
            return [told(directory.run_id, receipt, "left", trouble, remedy) for receipt in receipts]
        description = described(directory.target.read_text(encoding="utf-8"), source=str(directory.target), strict=False)
        if _sandbox_is_gone(directory, description):
            return [_gone(directory, ledger, receipt) for receipt in receipts]
        keeping = asyncio.create_task(_keep_lease(directory, description, clock))
        kept = Kept(directory.run_id, ledger.close, BY_HAND.format(ledger=directory.ledger))
        found = await heal_all(kept, receipts, description, clock)
        found += await _mirrored(directory, description)
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        if all(one.state == "healed" for one in found):
            await _free(directory, description, clock)
        return found


def _gone(directory: RunDirectory, ledger: Ledger, receipt: Receipt) -> Leftover:
    ledger.close(receipt)
    return told(directory.run_id, receipt, "gone")


async def _mirrored(directory: RunDirectory, description: TargetDescription) -> list[Leftover]:
    """Bring the copy in the target's namespace up to date; says what is in the way of it, so that no run is kept away for nothing."""
    try:
        mirror = await asyncio.to_thread(mirror_of, description, directory)
        if mirror is None:
            return []
        try:
            await mirror.follow()
        finally:
            mirror.close()
    except (TargetError, Unreachable) as error:
        return [Leftover(directory.run_id, "", "", "", "left", f"its mirrored ledger could not be brought up to date: {error}", AGAIN)]
    return []


async def heal_all(kept: Kept, receipts: list[Receipt], description: TargetDescription, clock: Clock) -> list[Leftover]:
    """Heal these, wherever they are kept: at once, not one after another, for a target that hangs must not hold up the others.

    Interpositions come last: the way back of a fault on such a link needs the proxy that they take away.
    """
    found: list[Leftover] = []
    for last in (False, True):
        some = [receipt for receipt in receipts if (receipt.kind == INTERPOSITION) is last]
        found += await asyncio.gather(*(_one(kept, receipt, description, clock) for receipt in some))
    return found


async def _one(kept: Kept, receipt: Receipt, description: TargetDescription, clock: Clock) -> Leftover:
    """Heal one receipt. Whatever goes wrong is its own trouble: it must not cut off the heals beside it."""
    try:
        await _healed(receipt, description, clock)
        kept.close(receipt)
    except HealFailed as error:
        return told(kept.run, receipt, "left", error.what, error.remedy)
    except Exception as error:  # noqa: BLE001 - the named edge: what is left behind is said, whatever the reason
        trouble = str(error) if isinstance(error, OrchestratorError) else f"{type(error).__name__}: {error}".rstrip(": ")
        return told(kept.run, receipt, "left", trouble, kept.by_hand)
    return told(kept.run, receipt, "healed")


async def _healed(receipt: Receipt, description: TargetDescription, clock: Clock) -> None:
    """Raises HealFailed, TargetError, Unreachable, or whatever else a heal runs into."""
    try:
        async with asyncio.timeout(HEAL_S):
            fault = fault_of(receipt, description, clock)
            try:
                await fault.heal(receipt)
            finally:
                await fault.close()
    except TimeoutError as error:
        raise TargetError(f"not healed within {HEAL_S:g} s") from error


async def _keep_lease(directory: RunDirectory, description: TargetDescription, clock: Clock) -> None:
    """Renew the dead run's lease until cancelled, if it has one still: no other run may come before its faults are gone."""
    with contextlib.suppress(TargetError, Unreachable):
        # Its client takes a moment to load, for which no heal should wait.
        lease = await asyncio.to_thread(lease_of, description, directory.run_id, clock)
        if lease is None:
            return
        try:
            if not await lease.renew():
                await lease.keep()
        finally:
            lease.close()


async def _free(directory: RunDirectory, description: TargetDescription, clock: Clock) -> None:
    """Give up the lease of the run that is no more. Where that does not work it ends by itself."""
    with contextlib.suppress(TargetError, Unreachable):
        lease = lease_of(description, directory.run_id, clock)
        if lease is not None:
            await lease.give_up()


def _sandbox_is_gone(directory: RunDirectory, description: TargetDescription) -> bool:
    """Whether the run had a sandbox of its own, which took the faults with it when it ended: its kubeconfig is removed last."""
    kubernetes = description.kubernetes
    return directory.owned_sandbox.exists() and kubernetes is not None and not Path(kubernetes.kubeconfig).exists()


def told(run: str, receipt: Receipt, state: State, trouble: str = "", remedy: str = "") -> Leftover:
    """What became of one receipt."""
    return Leftover(run, receipt.fault, receipt.kind, receipt.target, state, trouble, remedy)
