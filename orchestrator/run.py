"""One run: plan, clock, recorder, ledger, load, samplers and the abort latch, in one loop thread."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import platform
import sys
from dataclasses import asdict, dataclass
from random import Random
from typing import Literal, Protocol

from pydantic import JsonValue

from orchestrator.abort import AbortLatch
from orchestrator.errors import HarnessError, HealFailed, OrchestratorError, RefusedError, TargetError
from orchestrator.fault_life import FaultLife
from orchestrator.faults.base import Surroundings
from orchestrator.faults.kinds import make_fault
from orchestrator.guards import beyond
from orchestrator.inbox import Inbox
from orchestrator.interposing.links import links_of
from orchestrator.interposing.preparation import Preparation
from orchestrator.ledger import Ledger
from orchestrator.ledger_mirror import LedgerMirror, mirror_of
from orchestrator.load.worker import Live
from orchestrator.plan import Plan
from orchestrator.reach import reach
from orchestrator.receipts import Receipts
from orchestrator.recorder import Recorder
from orchestrator.run_directory import RunDirectory
from orchestrator.target_lease import TargetLease, lease_of
from orchestrator.traffic import Issue, Traffic
from orchestrator.watching import Scene, Watching
from probes.clients.unreachable import Unreachable
from probes.clock import Clock
from probes.target import TargetDescription
from steady_state.history import History
from steady_state.instants import Span
from steady_state.judged_plan import JudgedPlan
from steady_state.observations import EndLine, NoteLine, Observation, PhaseLine, RunLine
from steady_state.recording import recording_of
from steady_state.steadiness import unsteady
from steady_state.stopping import StopWatch

STEADY_S = 10.0
"""The platform must be steady for this long before the method: as long as a settled stretch."""
STEADY_WITHIN_S = 90.0
"""Then the run is refused, with the reasons of the last look."""
LOOK_PERIOD_S = 0.5
LISTEN_PERIOD_S = 0.25

Phase = Literal["preparing", "baseline_check", "timeline", "end", "draining", "aborting"]
Ended = Literal["completed", "aborted", "refused", "error"]


class Guarding(Protocol):
    """Whatever heals after us when we die."""

    @property
    def lost(self) -> str:
        """That it is no more, in words; empty while it is."""
        ...


@dataclass(frozen=True, slots=True)
class Setting:
    """What a run is made of."""

    plan: Plan
    judged: JudgedPlan
    description: TargetDescription
    directory: RunDirectory
    seed: int
    guardian: Guarding | None = None


class Run:
    """Everything that happens between the first request and the last line of the recording. Lives in one loop."""

    def __init__(self, setting: Setting, clock: Clock, latch: AbortLatch) -> None:
        self._setting = setting
        self._clock = clock
        self._latch = latch
        self._rng = Random(setting.seed)
        self._recorder = Recorder(setting.directory.recording)
        self._ledger = Ledger(setting.directory.ledger)
        source = "outside" if setting.description.load.engine == "none" else "load"
        self._stop_watch = StopWatch(setting.plan.stop, source)
        self._receipts = Receipts(self._ledger)
        self._traffic = Traffic(
            Issue(setting.plan, setting.description, setting.seed, clock, self._record, setting.directory.run_id, self._receipts)
        )
        self._preparation = Preparation(setting.description, setting.directory.run_id, self._receipts, clock, self._say)
        self._watching: Watching | None = None
        self._aborted = latch.as_event(asyncio.get_running_loop())
        self._lives: dict[str, FaultLife] = {}
        self._inbox = Inbox(setting.directory.path)
        self._guard: asyncio.Task[None] | None = None
        self._lease: TargetLease | None = None
        self._mirror: LedgerMirror | None = None
        self._renewal: asyncio.Task[None] | None = None
        self._listener = asyncio.create_task(self._listen())
        self._finishing = False
        self.start: float | None = None
        self.last_event = "preparing"
        # In the recording from the first moment on: a run that is aborted at once has a report, too.
        self._recorder.record(self._first_line())

    @property
    def live(self) -> Live:
        """The newest full second of the load, for the progress display."""
        return self._traffic.live

    def now(self) -> float:
        return self._clock.now()

    async def prepare(self) -> None:
        """Take the target for this run alone, log users in, start load and samplers. Raises RefusedError."""
        self._phase("preparing")
        await self._take_lease()
        await self._preparation.begin(links_of(self._setting.plan, self._setting.description))
        devices = await self._traffic.log_in()
        scene = Scene(self._setting.description, self._clock, self._setting.directory.run_id, devices)
        try:
            self._watching = Watching(scene)
        except Unreachable as error:
            raise RefusedError(f"the samplers cannot look at {self._setting.description.name}: {error}") from error
        self._watching.start(self._record)
        await self._traffic.start()
        self._guard = asyncio.create_task(self._guarded())

    async def _take_lease(self) -> None:
        try:
            self._mirror = mirror_of(self._setting.description, self._setting.directory)
            self._receipts.mirror = self._mirror
            self._lease = lease_of(self._setting.description, self._setting.directory.run_id, self._clock)
            if self._lease is None:
                return
            await self._lease.take(self._tell)
        except (TargetError, Unreachable) as error:
            raise RefusedError(f"the target could not be taken for this run alone: {error}") from error
        self._renewal = asyncio.create_task(self._renewed(self._lease))

    async def _renewed(self, lease: TargetLease) -> None:
        """Abort when somebody else may be on the target."""
        lost = "the lease of the target is renewed no more"
        try:
            lost = await lease.keep()
        finally:
            if not self._finishing:
                self._latch.set(lost)
                self._recorder.record(NoteLine(t=self._clock.now(), text=lost))

    async def _give_up_lease(self) -> None:
        """Where faults are left behind it stays, for a while, with us: nobody else should come."""
        if self._renewal is not None:
            self._renewal.cancel()
            await asyncio.gather(self._renewal, return_exceptions=True)
        # A ledger that cannot be read is none that says that nothing is left; and the recording still needs its last line.
        with contextlib.suppress(TargetError, HarnessError):
            if self._lease is not None and not self._ledger.open_receipts():
                await self._lease.give_up()

    async def wait_until_steady(self) -> None:
        """Return when the platform was steady for STEADY_S. Raises RefusedError with the reasons when that takes too long."""
        self._phase("baseline_check")
        await self._preparation.prove()
        deadline = self._clock.now() + STEADY_WITHIN_S
        reasons = ["nothing was seen yet"]
        while not self._aborted.is_set():
            await self._clock.sleep_until(self._clock.now() + LOOK_PERIOD_S)
            reasons = self._unsteady()
            if not reasons:
                self.last_event = "the platform is steady"
                return
            self.last_event = f"waiting for a steady platform: {reasons[0]}"
            if self._clock.now() > deadline:
                # What is away may be the reason, and its address is what helps.
                away = (await reach(self._setting.plan, self._setting.description, self._clock)).away
                raise RefusedError(f"the platform is not steady: {'; '.join([*reasons[:4], *away])}")

    async def begin(self) -> float:
        """Minute 0 of the hour. Returns its instant."""
        self.start = self._clock.now()
        self._phase("timeline", t=self.start)
        self._recorder.forget()
        return self.start

    async def perform(self, name: str) -> dict[str, JsonValue]:
        """The whole life of one fault. Returns plain JSON for the journal."""
        assert self.start is not None
        planned = self._setting.plan.fault(name)
        role = self._setting.description.roles[planned.settings.role]
        around = Surroundings(name, self._setting.directory.run_id, self._setting.description, role, self._clock)
        life = FaultLife(
            planned=planned,
            fault=make_fault(planned.kind, planned.settings, around),
            ledger=self._ledger,
            record=self._record,
            clock=self._clock,
            aborted=self._aborted,
            start=self.start,
            # A generator of its own for each fault, so that one fault's draws do not depend on another's.
            rng=Random(f"{self._setting.seed}/{name}"),
            objection=lambda radius: beyond(radius, self._setting.description.blast_caps),
            tell=self._tell,
            mirror=self._mirror,
        )
        self._lives[name] = life
        course = await life.run()
        return dict(asdict(course))

    async def finish(self, ended: Ended, reason: str = "") -> None:
        """Heal what is left, stop load and samplers, close the recording. Safe to call once in any phase.

        Raises HealFailed, after all that, where an interposition or the load's Job could not be taken away.
        """
        self._finishing = True
        if self._guard is not None:
            self._guard.cancel()
        with contextlib.suppress(OrchestratorError):
            self._phase("end" if ended == "completed" else "aborting", detail=reason)
        await asyncio.gather(*(life.settled() for life in self._lives.values()))
        if ended == "completed" and not await self._drained():
            ended, reason = "aborted", self._latch.reason
        if ended != "completed":
            await self._traffic.kill()
            await self._stop_watching(drain_s=1.0)
        left = [one for one in (await self._traffic.end(), await self._preparation.end()) if one is not None]
        if left and ended == "completed":
            # It proves no PASS: the verdict must not say more than the last line on stdout.
            ended, reason = "error", "; ".join(str(one) for one in left)
        self._listener.cancel()
        await self._give_up_lease()
        if self._mirror is not None:
            self._mirror.close()
        self._recorder.record(EndLine(t=self._clock.now(), ended=ended, reason=reason))
        self._recorder.close()
        if left:
            raise HealFailed("; ".join(one.what for one in left), "; ".join(one.remedy for one in left))

    async def _drained(self) -> bool:
        """True when the last answers and messages are in, False when the run was aborted first."""
        draining, aborting = asyncio.create_task(self._drain()), asyncio.create_task(self._aborted.wait())
        await asyncio.wait({draining, aborting}, return_when=asyncio.FIRST_COMPLETED)
        aborting.cancel()
        if self._aborted.is_set():
            draining.cancel()
            await asyncio.gather(draining, return_exceptions=True)
            return False
        await draining
        return True

    async def _drain(self) -> None:
        """The last answers of the load, and the last messages of the test devices."""
        self._phase("draining")
        trouble, _ = await asyncio.gather(self._traffic.stop(self._clock.now()), self._stop_watching(drain_s=35.0))
        if trouble:
            self._recorder.record(NoteLine(t=self._clock.now(), text=f"the load did not end as it should: {trouble}"))

    async def _stop_watching(self, *, drain_s: float) -> None:
        if self._watching is not None:
            await self._watching.stop(drain_s=drain_s)

    async def _guarded(self) -> None:
        """Abort when the load, a sampler or the guardian dies: what cannot be seen cannot be judged, and somebody must heal."""
        while True:
            await self._clock.sleep_until(self._clock.now() + LOOK_PERIOD_S)
            guardian = self._setting.guardian
            lost = self._traffic.lost or (self._watching.lost if self._watching else "") or (guardian.lost if guardian else "")
            if lost:
                # First of all: the reason may be that the recording cannot be written.
                self._latch.set(lost)
                self._recorder.record(NoteLine(t=self._clock.now(), text=lost))
                return

    async def _listen(self) -> None:
        """What operators say in other terminals goes on the timeline; an abort ends the run."""
        while True:
            for message in self._inbox.take():
                said = f"operator: {message.text}"
                if message.kind == "abort":
                    self._latch.set(f"abort by {said}")
                with contextlib.suppress(OrchestratorError):
                    self._recorder.record(NoteLine(t=message.t, text=said if message.kind == "note" else self._latch.reason))
            await self._clock.sleep_until(self._clock.now() + LISTEN_PERIOD_S)

    def _record(self, line: Observation) -> None:
        """Write the line; on the timeline, end the run where a stop condition says so."""
        self._recorder.record(line)
        reason = self._stop_watch.see(line)
        if reason and self.start is not None and not self._aborted.is_set():
            self._latch.set(f"stop condition: {reason}")
            self._recorder.record(NoteLine(t=self._clock.now(), text=self._latch.reason))

    def _unsteady(self) -> list[str]:
        """Reasons against starting, from the newest STEADY_S of the recording."""
        recording = recording_of(self._recorder.kept())
        expected = ("outside",) if self._setting.description.load.engine == "none" else ("load", "outside")
        plan = recording.load_plans.get(expected[0])
        newest = [second for source in expected if (second := recording.newest_second(source)) is not None]
        if plan is None or len(newest) < len(expected):
            return ["the requests have not begun"]
        end = plan.start_s + min(newest) + 1
        span = Span(max(end - STEADY_S, plan.start_s), end)
        if end - plan.start_s < STEADY_S:
            return [f"seen for {end - plan.start_s:.0f} of {STEADY_S:g} s"]
        if self._clock.now() - end > self._traffic.results_lag_s + 1:
            return [f"requests of the last {self._clock.now() - end:.1f} s have no outcome yet"]
        return unsteady(History(recording), span)

    def _first_line(self) -> RunLine:
        return RunLine(
            t=self._clock.now(),
            run_id=self._setting.directory.run_id,
            seed=self._setting.seed,
            wall=self._clock.wall().isoformat(timespec="milliseconds"),
            versions=versions(),
            plan=self._setting.judged.model_dump(mode="json"),
        )

    def _phase(self, phase: Phase, *, t: float | None = None, detail: str = "") -> None:
        self.last_event = f"{phase.replace('_', ' ')}{': ' + detail if detail else ''}"
        self._recorder.record(PhaseLine(t=self._clock.now() if t is None else t, phase=phase, detail=detail))

    def _say(self, text: str) -> None:
        """On the timeline, and so in the report. A recording that cannot be written does not keep us from the way back."""
        self._tell(text)
        with contextlib.suppress(HarnessError):
            self._recorder.record(NoteLine(t=self._clock.now(), text=text))

    def _tell(self, event: str) -> None:
        self.last_event = event


def versions() -> dict[str, str]:
    """Versions of what shapes a run."""
    named = ("chaos-orchestrator", "chaostoolkit", "chaostoolkit-lib", "kubernetes", "httptools", "uvloop", "pydantic")
    found: dict[str, str] = {"python": sys.version.split()[0], "platform": platform.platform()}
    for name in named:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found
