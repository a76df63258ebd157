"""Whatever happens in whatever order (inject, crash, heal, heal again, a second run, a target that is down), it ends clean.

The machine drives the product's ledger, lock, heal and refusal on a target that is a set of effects in memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from pathlib import Path
from unittest import mock

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from orchestrator import healing
from orchestrator.errors import HarnessError, RefusedError, TargetError
from orchestrator.faults.base import Receipt
from orchestrator.healing import heal
from orchestrator.ledger import Ledger
from orchestrator.leftovers import refuse_leftovers
from orchestrator.run_directory import RunDirectory
from orchestrator.run_lock import RunLock
from orchestrator.targeting import described
from probes.clock import SystemClock
from sandbox.describe import Place, description

FAULTS = st.sampled_from(["cut", "slow", "gone"])


class Target:
    """What faults did to it; while it is down nothing can be done or undone."""

    def __init__(self) -> None:
        self.effects: set[str] = set()
        self.down = False

    def change(self, effect: str, *, there: bool) -> None:
        if self.down:
            raise TargetError("the target is down")
        (self.effects.add if there else self.effects.discard)(effect)


class Fault:
    """The healing half of a fault, as a receipt describes it."""

    def __init__(self, receipt: Receipt, target: Target) -> None:
        self._effect = f"{receipt.run_id}/{receipt.fault}"
        self._target = target

    async def heal(self, receipt: Receipt) -> None:
        self._target.change(self._effect, there=False)

    async def close(self) -> None:
        return


class Healing(RuleBasedStateMachine):
    """Runs come one after another; at most one is going."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(self.enter(tempfile.TemporaryDirectory()))
        self.target = Target()
        self.enter(mock.patch.object(healing, "fault_of", lambda receipt, _description, _clock: Fault(receipt, self.target)))
        self.enter(mock.patch.object(healing, "mirror_of", return_value=None))
        self.run: RunDirectory | None = None
        self.lock: RunLock | None = None
        self.count = 0
        kubeconfig = self.folder / "kubeconfig"
        kubeconfig.touch()
        self.text = description(Place(kubeconfig, None))

    def enter(self, context: contextlib.AbstractContextManager[str]) -> str:
        stack = self.__dict__.setdefault("stack", contextlib.ExitStack())
        return stack.enter_context(context)  # type: ignore[no-any-return]

    @property
    def directories(self) -> list[RunDirectory]:
        return [RunDirectory(path) for path in sorted(self.folder.iterdir()) if path.is_dir()]

    @property
    def open_receipts(self) -> set[str]:
        return {f"{one.run_id}/{one.fault}" for run in self.directories for one in Ledger(run.ledger).open_receipts()}

    @precondition(lambda self: self.run is None)
    @rule()
    def begin(self) -> None:
        """A run starts, unless an earlier one left something."""
        platform = described(self.text, source="test")
        left = self.open_receipts
        try:
            refuse_leftovers(self.folder, platform)
        except RefusedError:
            assert left
            return
        assert not left
        assert not self.target.effects, "a run may start only on a clean target"
        self.count += 1
        self.run = RunDirectory(self.folder / f"run-{self.count}")
        self.run.path.mkdir()
        self.run.target.write_text(self.text)
        self.lock = RunLock(self.run.lock)
        assert self.lock.take()

    @precondition(lambda self: self.run is not None)
    @rule(fault=FAULTS, dies=st.sampled_from(["", "before the write", "after the write"]))
    def inject(self, fault: str, dies: str) -> None:
        """The receipt first, then the write; the run may die on either side of it."""
        assert self.run is not None
        receipt = Receipt(fault=fault, kind="partition", run_id=self.run.run_id, settings={"role": "link"}, target="x")
        try:
            Ledger(self.run.ledger).open(receipt)
        except HarnessError:
            return
        if dies != "before the write":
            with contextlib.suppress(TargetError):
                self.target.change(f"{self.run.run_id}/{fault}", there=True)
        if dies:
            self.crash()

    @precondition(lambda self: self.run is not None)
    @rule(fault=FAULTS)
    def heal_by_the_run(self, fault: str) -> None:
        """The end of a hold."""
        assert self.run is not None
        ledger = Ledger(self.run.ledger)
        for receipt in ledger.open_receipts():
            if receipt.fault == fault:
                with contextlib.suppress(TargetError):
                    self.target.change(f"{self.run.run_id}/{fault}", there=False)
                    ledger.close(receipt)

    @precondition(lambda self: self.run is not None)
    @rule(cut=st.binary(max_size=40))
    def crash_while_writing(self, cut: bytes) -> None:
        """The last line of the ledger is cut off, which nothing was injected for."""
        assert self.run is not None
        with self.run.ledger.open("ab") as file:
            file.write(b'{"event": "opened", "receipt": {"fault": "' + cut.replace(b"\n", b""))
        self.crash()

    @precondition(lambda self: self.run is not None)
    @rule()
    def crash(self) -> None:
        """The kernel gives the lock back."""
        assert self.lock is not None
        self.lock.release()
        self.run = self.lock = None

    @rule()
    def heal_everything(self) -> None:
        """The guardian or an operator, also while a run is going."""
        for run in self.directories:
            for one in asyncio.run(heal(run, SystemClock())):
                live = self.run is not None and one.run == self.run.run_id
                assert one.state == ("live" if live else "left" if self.target.down else "healed")
                # What is told as healed is closed, too.
                assert live or (f"{one.run}/{one.fault}" in self.open_receipts) is not one.clean

    @rule(down=st.booleans())
    def switch(self, down: bool) -> None:
        self.target.down = down

    @invariant()
    def every_effect_has_a_receipt(self) -> None:
        assert self.target.effects <= self.open_receipts

    def teardown(self) -> None:
        try:
            if self.run is not None:
                self.crash()
            self.target.down = False
            self.heal_everything()
            assert (self.target.effects, self.open_receipts) == (set(), set())
        finally:
            self.stack.close()


TestHealing = Healing.TestCase
TestHealing.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
