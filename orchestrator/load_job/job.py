"""The load of one run as a Job in the cluster: made before the run begins, followed while it goes, taken away at its end."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from orchestrator.errors import HarnessError, HealFailed, OrchestratorError
from orchestrator.fault_life import HEAL_S
from orchestrator.faults.base import Receipt
from orchestrator.faults.permissions import LOAD_NAME
from orchestrator.load import wire
from orchestrator.load.order import WorkerOrder
from orchestrator.load.worker import Live
from orchestrator.load_job import objects
from orchestrator.load_job.crowd import Crowd, Ways
from orchestrator.load_job.way_back import LoadWayBack, receipt
from orchestrator.receipts import Receipts
from orchestrator.targets.load_jobs import JobRefusedError, LoadJobs, LoadPod
from probes.clients.kube import Answer, KubeReader
from probes.clients.unreachable import Unreachable
from probes.clock import Clock
from probes.target import JobLoad, Kubernetes
from steady_state.instants import Instant
from steady_state.observations import NoteLine, Observation


@dataclass(frozen=True, slots=True)
class Site:
    """Where the load is made, and for whom."""

    target: Kubernetes
    load: JobLoad
    owner: objects.Owner


class LoadJob:
    """The run owns the order: `come_up`, `start`, `stop` or `kill`, and `end` whatever happened."""

    def __init__(self, site: Site, order: WorkerOrder, record: Callable[[Observation], None], clock: Clock, receipts: Receipts) -> None:
        """Raises Unreachable when the kubeconfig cannot be used."""
        self._site = site
        self._order = order
        self._record = record
        self._clock = clock
        self._receipts = receipts
        self._key = secrets.token_urlsafe(24)
        there = site.target.model_copy(update={"namespace": site.load.namespace})
        self._jobs = LoadJobs(there)
        self._kube = KubeReader(there, clock, threads=site.load.workers)
        self._crowd = Crowd(order.plan, Ways(self._ask, self._look), record, clock)
        self._receipt: Receipt | None = None
        self._making: asyncio.Task[None] | None = None
        self._refused = False
        self.start_s: Instant = 0.0
        """When the first arrival is due; to be set before `start`."""

    @property
    def live(self) -> Live:
        return self._crowd.live

    async def come_up(self) -> None:
        """Make the Job, its receipt first, and wait until every worker can begin. Raises LoadWorkerError, TargetError or HarnessError."""
        owner, load = self._site.owner, self._site.load
        told = receipt(owner.run_id, load.namespace, load.workers)
        self._receipt = told
        await self._receipts.open(told)
        # An abort must not leave a write under way that would land after the way back.
        self._making = asyncio.create_task(self._make())
        await asyncio.shield(self._making)
        await self._crowd.gather()

    async def start(self) -> None:
        """Raises LoadWorkerError."""
        await self._crowd.start(self.start_s)
        for worker in self._crowd.workers.values():
            assert worker.best is not None
            error_ms = worker.best.error_s * 1000
            self._say(f"{worker.who} answers; our clock shows {worker.ahead_s:.3f} s more than its own, give or take {error_ms:.1f} ms")

    async def wait(self) -> None:
        """Raises LoadWorkerError when a worker is lost."""
        await self._crowd.wait()

    async def stop(self, instant: Instant) -> None:
        """Nothing is due from about the instant on. Raises LoadWorkerError."""
        await self._crowd.stop(instant)
        worst = max(self._crowd.workers.values(), key=lambda one: one.skew_s)
        count, skew_ms = len(self._crowd.workers), worst.skew_s * 1000
        self._say(f"the clocks of the {count} load workers stayed with ours: no answer was more than {skew_ms:.1f} ms from its time")

    async def kill(self) -> None:
        """Follow it no more; `end` takes it away."""
        await self._crowd.let_go()

    async def end(self) -> HealFailed | None:
        """Take the Job away; what is left, and how to take it away by hand."""
        if self._making is not None:
            # Whoever waited for it may have stopped: what went wrong is then told by nobody, and needs no telling.
            await asyncio.wait({self._making}, timeout=HEAL_S)
            self._making.cancel()
            await asyncio.gather(self._making, return_exceptions=True)
        await self._crowd.let_go()
        self._jobs.close()
        self._kube.close()
        if self._receipt is None:
            return None
        if self._making is None:
            # Nothing was asked for; the receipt goes from the ledger, whatever its copy on the target says.
            with contextlib.suppress(OrchestratorError):
                await self._receipts.close(self._receipt)
            return None
        failed = await self._healed(self._receipt)
        with contextlib.suppress(HarnessError):
            self._say(str(failed) if failed else f"{self._receipt.target} is gone with its pods")
        return failed

    async def _healed(self, receipt: Receipt) -> HealFailed | None:
        try:
            way_back = LoadWayBack(receipt, self._site.target, self._clock)
            try:
                async with asyncio.timeout(HEAL_S):
                    await way_back.heal(receipt, may_come=not self._refused)
            finally:
                await way_back.close()
            await self._receipts.close(receipt)
        except HealFailed as failed:
            return failed
        except (OrchestratorError, Unreachable, TimeoutError) as error:
            return HealFailed(f"{receipt.target}: {str(error) or 'time-out'}", f"orchestrator heal runs/{receipt.run_id}")
        return None

    async def _make(self) -> None:
        """The Job first, for it owns the Secret; its pods wait for that."""
        site = self._site
        name, data = f"{LOAD_NAME}-{secrets.token_hex(4)}", objects.packed(self._order, self._key)
        try:
            made = await self._jobs.create(objects.job(site.load, site.owner, name))
        except JobRefusedError:
            self._refused = True
            raise
        await self._jobs.create_secret(objects.secret(name, made, data))

    async def _ask(self, pod: str, question: wire.Question) -> Answer:
        return await self._kube.pod_ask(pod, wire.PORT, wire.PATH, question.query(), {wire.KEY_HEADER: self._key})

    async def _look(self) -> list[LoadPod]:
        return await self._jobs.pods(self._site.owner.run_id)

    def _say(self, text: str) -> None:
        self._record(NoteLine(t=self._clock.now(), text=text))
