"""One experiment from its first check to its last line, as the threads of Chaos Toolkit see it. Knows nothing of Chaos Toolkit."""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Coroutine, Mapping
from concurrent.futures import Future
from typing import Any, TypeVar

from pydantic import JsonValue

from orchestrator.abort import AbortLatch
from orchestrator.binding import bind
from orchestrator.ending_signals import EndingSignals, held_back
from orchestrator.errors import HarnessError, OrchestratorError, RefusedError
from orchestrator.faults.base import Receipt
from orchestrator.guardian_process import GuardianProcess
from orchestrator.guards import objections
from orchestrator.ledger import Ledger
from orchestrator.leftovers import mirrored_leftovers, refuse_leftovers
from orchestrator.outline import outline
from orchestrator.plan import PREPARE_LEAD_S, Plan, read_plan, scaled
from orchestrator.portal import LoopThread
from orchestrator.progress import Progress, announce
from orchestrator.report import terminal
from orchestrator.report.writing import write_reports
from orchestrator.run import Ended, Run, Setting
from orchestrator.run_directory import RUNS, RunDirectory, create_run_directory
from orchestrator.run_lock import RunLock
from orchestrator.sandbox_process import PASSWORD, PASSWORD_ENV, UP_WITHIN_S, SandboxProcess
from orchestrator.targeting import Choice, choose, described
from probes.clock import SystemClock
from probes.target import TargetDescription

T = TypeVar("T")
LOOK_S = 0.05
FINISH_WITHIN_S = 90.0


class Aborted(Exception):  # noqa: N818 - a course of events, not an error
    """The run was told to end; whoever waits stops waiting."""


class Session:
    """State of one `chaos run`. Methods block the calling thread; the work is done in the run's loop."""

    def __init__(self, experiment: Mapping[str, Any], environment: Mapping[str, str]) -> None:
        """Check the whole plan against the target. Raises PlanError or RefusedError; nothing is touched."""
        self._environment = environment
        self.choice: Choice = choose(environment)
        self.plan: Plan = scaled(read_plan(experiment), time_scale=self.choice.time_scale, load_scale=self.choice.load_scale)
        self.judged = bind(self.plan, self.choice.description)
        self.experiment = experiment
        self.latch = AbortLatch()
        self.clock = SystemClock()
        self.report: dict[str, Any] | None = None
        self.directory: RunDirectory | None = None
        self.refusal = ""
        self.error = ""
        self.steady = False
        self._signals = EndingSignals(self.latch)
        self._start: float | None = None
        self._loop: LoopThread | None = None
        self._run: Run | None = None
        self._sandbox: SandboxProcess | None = None
        self._guardian: GuardianProcess | None = None
        self._lock: RunLock | None = None
        self._progress: Progress | None = None
        self._finishing = threading.Lock()

    def prepare(self) -> None:
        """Start the sandbox where it is ours, then load and samplers. Raises RefusedError or Aborted."""
        self._signals.catch()
        if not self.choice.owned:
            refuse_leftovers(RUNS, self.choice.description)
        seed = secrets.randbits(32) if self.choice.seed is None else self.choice.seed
        self.directory = create_run_directory(RUNS, wall=self.clock.wall(), tag=secrets.randbits(16))
        self._lock = RunLock(self.directory.lock)
        if not self._lock.take():
            raise RefusedError(f"another process works on {self.directory.path}")
        announce(f"run {self.directory.path}: {self.plan.title}")
        if not self.choice.owned:
            announce("\n".join(outline(self.plan, self.choice.description, owned=False)))
        text = self._come_up() if self.choice.owned else self.choice.text
        description = described(text, source=str(self.directory.target))
        self.directory.save("target.yaml", text)
        self.directory.save_json("experiment.json", dict(self.experiment))
        self._guardian = GuardianProcess(self.directory, lifeline=self._sandbox.lifeline if self._sandbox else None)
        self._loop = LoopThread()
        setting = Setting(self.plan, self.judged, description, self.directory, seed, self._guardian)
        self._work(self._make_run(setting))
        self._progress = Progress(self._of_run(), self.plan)
        self._progress.start()
        self._work(self._guarded(description))
        self._work(self._of_run().prepare())

    def wait_until_steady(self) -> None:
        """Return when the platform is steady. Raises RefusedError or Aborted."""
        self._work(self._of_run().wait_until_steady())
        if self.latch.is_set():
            raise Aborted
        self.steady = True

    def begin(self) -> None:
        """Minute 0 of the hour is now."""
        self._start = self._work(self._of_run().begin())

    def wait_for(self, name: str, at_s: float) -> None:
        """Wait in a thread for an activity's instant (for a fault: for its preparation). Raises Aborted."""
        if self._start is None:
            raise HarnessError("the timeline has not begun")
        lead_s = PREPARE_LEAD_S if any(fault.name == name for fault in self.plan.faults) else 0.0
        while (left := self._start + at_s - lead_s - self.clock.now()) > 0:
            if self.latch.wait(left):
                raise Aborted
        if self.latch.is_set():
            raise Aborted

    def perform(self, name: str) -> dict[str, JsonValue]:
        """The whole life of one fault; returns when it is healed."""
        assert self._loop is not None
        return self._loop.submit(self._of_run().perform(name)).result()

    def open_receipts(self) -> list[Receipt]:
        """Receipts of injections that are not healed."""
        return [] if self.directory is None else Ledger(self.directory.ledger).open_receipts()

    def finish(self, ended: Ended, reason: str = "") -> None:
        """Heal, stop, judge, report. The first call does it, whatever phase the run is in."""
        with self._finishing:
            if self.report is not None or self.directory is None or self._loop is None or self._run is None:
                return
            try:
                self._loop.call(self._run.finish(ended, reason), timeout_s=FINISH_WITHIN_S)
            except (OrchestratorError, TimeoutError) as error:
                # What was recorded is judged all the same.
                self.error = self.error or f"the run did not end as it should: {str(error) or f'not within {FINISH_WITHIN_S:g} s'}"
                announce(f"our own error: {self.error}")
            if self._progress is not None:
                self._progress.stop()
            # The picture's libraries start threads of their own, to which a later signal would go.
            with held_back():
                self.report = write_reports(self.directory)
            if ended != "refused":
                announce(terminal.grid(self.report), to_stdout=True)

    def close(self) -> None:
        """Let go of everything, whatever happened. The last line on stdout says how it ended."""
        try:
            if self._progress is not None:
                self._progress.stop()
            if self._loop is None or self._loop.close():
                self._let_go()
            else:
                announce("warning: the run's own thread hangs; what is left is healed by the guardian when this process has ended")
        except HarnessError as error:
            announce(f"warning: {error}")
        finally:
            self._signals.let_go()
            announce(self.last_line(), to_stdout=True)

    def _let_go(self) -> None:
        """First of the lock, for the guardian heals what is left; then of the sandbox, which the guardian holds as well.

        Only when nothing of the run works any more: nobody heals beside a thread that may still write.
        """
        if self._lock is not None:
            self._lock.release()
        try:
            if self._guardian is not None:
                self._guardian.let_go(clean=self._is_clean())
        finally:
            if self._sandbox is not None:
                self._sandbox.stop()

    def _is_clean(self) -> bool:
        """Whether no receipt is open; a ledger that cannot be read is none that says so."""
        try:
            return not self.open_receipts()
        except HarnessError:
            return False

    def last_line(self) -> str:
        """`verdict=PASS exit=0 run=runs/<id>`; REFUSED where nothing was injected, ERROR where we failed.

        A run that was told to end before it had a recording proved nothing: INCONCLUSIVE.
        """
        run = self.directory.path if self.directory is not None else "none"
        if self.refusal:
            return f"verdict=REFUSED exit=1 run={run}"
        if self.report is None and self._signals.heard and not self.error:
            return f"verdict=INCONCLUSIVE exit=1 run={run}"
        if self.report is None or self.error:
            return f"verdict=ERROR exit=1 run={run}"
        return f"verdict={self.report['verdict']} exit={0 if self.passed else 1} run={run}"

    @property
    def begun(self) -> bool:
        """Whether minute 0 has been."""
        return self._start is not None

    @property
    def passed(self) -> bool:
        return self.report is not None and self.report["verdict"] == "PASS" and not self.error

    def _come_up(self) -> str:
        """Start our sandbox; the text of the description that it wrote."""
        os.environ.setdefault(PASSWORD_ENV, PASSWORD)
        self._sandbox = SandboxProcess(self.choice.flaws, announce, os.environ)
        self._sandbox.start()
        deadline = self.clock.now() + UP_WITHIN_S
        while not self._sandbox.wait_ready(LOOK_S):
            if self.latch.is_set():
                raise Aborted
            if self.clock.now() > deadline:
                raise RefusedError(f"the sandbox was not up within {UP_WITHIN_S:g} s")
        assert self.directory is not None
        self.directory.save_json("sandbox.json", self._sandbox.status)
        return self._sandbox.target.read_text(encoding="utf-8")

    async def _make_run(self, setting: Setting) -> None:
        # Kept here and not by the caller, who may have stopped waiting.
        self._run = Run(setting, self.clock, self.latch)

    async def _guarded(self, description: TargetDescription) -> None:
        """Raises RefusedError when the target must not be touched by this plan."""
        against = await objections(self.plan, description, self.clock)
        if not self.choice.owned:
            against += await mirrored_leftovers(description)
        if against:
            raise RefusedError("; ".join(against))

    def _work(self, work: Coroutine[Any, Any, T]) -> T:
        """Run it in the loop and wait in this thread, as long as the run is not aborted. Raises Aborted."""
        assert self._loop is not None
        future: Future[T] = self._loop.submit(work)
        while True:
            try:
                return future.result(LOOK_S)
            except TimeoutError:
                if future.done():
                    return future.result()
                if self.latch.is_set():
                    future.cancel()
                    raise Aborted from None

    def _of_run(self) -> Run:
        if self._run is None:
            raise HarnessError("the run was not prepared")
        return self._run


def refusal_of(error: OrchestratorError) -> str:
    """The sentence for a run that was refused before anything was touched."""
    return f"refused, nothing was injected: {error}"
