"""The requests of a run: the background load and the look from outside, each a worker process; the load may be a Job instead."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from orchestrator.errors import HealFailed, RefusedError, TargetError
from orchestrator.load.login import LoginError, log_in
from orchestrator.load.order import KnownUser, WorkerOrder
from orchestrator.load.profile import order_for, plan_load, plan_outside, user_numbers
from orchestrator.load.worker import Live, LoadWorker, LoadWorkerError
from orchestrator.load_job.crowd import POLL_S
from orchestrator.load_job.job import LoadJob, Site
from orchestrator.load_job.objects import Owner
from orchestrator.plan import Plan
from orchestrator.receipts import Receipts
from probes.clients.unreachable import Unreachable
from probes.clock import Clock
from probes.target import JobLoad, TargetDescription
from steady_state.load_plan import LoadPlan
from steady_state.observations import Observation

OUTSIDE_HZ = 10.0
"""Source: design 5, every user-visible route from outside at 10 Hz."""
START_LEAD_S = 1.5
"""The workers get their order this long before the first request is due."""
JOB_START_LEAD_S = 3 * POLL_S
"""Those in pods are told the start at the next look at them, and then open their connections."""
RESULTS_LAG_S = 1.5
"""A second's row of the load is there this long after its end, when the platform answers as it should."""
JOB_OUTLIVES_S = 900.0
"""A Job ends by itself so long after the plan's length: before minute 0 lie 60 s until its pods are there and 90 s until the platform
is steady, after it a minute of drain; the rest is for whoever is slow."""
DEVICES = 4
"""Users of the delivery sampler: numbers of their own, from the middle of the test users."""


@dataclass(frozen=True, slots=True)
class Issue:
    """What is needed to send requests: plan, platform, seed, clock, where lines go, and the run with its receipts."""

    plan: Plan
    description: TargetDescription
    seed: int
    clock: Clock
    record: Callable[[Observation], None]
    run_id: str
    receipts: Receipts


class Source(Protocol):
    """One plan that is kept somewhere."""

    @property
    def live(self) -> Live: ...

    async def start(self) -> None: ...

    async def wait(self) -> None: ...

    async def stop(self, instant: float) -> None: ...

    async def kill(self) -> None: ...


class Traffic:
    """The sources of requests: load and look from outside, or the latter alone. `lost` says which worker died."""

    def __init__(self, issue: Issue) -> None:
        self._issue = issue
        self._sources: list[Source] = []
        self._job: LoadJob | None = None
        self._watches: list[asyncio.Task[None]] = []
        self._stopping = False

    async def log_in(self) -> list[KnownUser]:
        """The users of the test devices, logged in. Raises RefusedError."""
        users = self._issue.description.users
        if users is None:
            return []
        middle = users.count // 2
        return await self._log_in(range(middle, middle + min(DEVICES, users.count)))

    async def start(self) -> None:
        """Log the users in and start the workers. Raises RefusedError when that does not work."""
        plans = self._plans()
        users = {plan.source: await self._log_in(user_numbers(self._issue.description, plan)) for plan in plans}
        try:
            await self._come_up(plans[0], users)
            # All that took its time: nothing may be due before the workers are ready.
            start_s = self._issue.clock.now() + (START_LEAD_S if self._job is None else JOB_START_LEAD_S)
            plans = [plan.model_copy(update={"start_s": start_s}) for plan in plans]
            self._sources = [self._source(plan, users[plan.source]) for plan in plans]
            await asyncio.gather(*(source.start() for source in self._sources))
        except (LoadWorkerError, TargetError, Unreachable) as error:
            raise RefusedError(f"the load could not be started: {error}") from error
        self._watches = [asyncio.create_task(source.wait()) for source in self._sources]

    @property
    def live(self) -> Live:
        """The newest full second of the load; of the look from outside where there is no load."""
        return self._sources[0].live if self._sources else Live()

    @property
    def results_lag_s(self) -> float:
        """A second's row is in the recording so long after its end, when the platform answers as it should."""
        return RESULTS_LAG_S if self._job is None else RESULTS_LAG_S + POLL_S

    @property
    def lost(self) -> str:
        """The first worker that ended although it should not, in words; empty while all work."""
        for watch in self._watches:
            if watch.done() and not self._stopping:
                error = None if watch.cancelled() else watch.exception()
                return str(error) if error else "a load worker ended"
        return ""

    async def stop(self, instant: float) -> str:
        """Nothing is due from the instant on; wait for the last outcomes. Returns what went wrong, in words."""
        self._stopping = True
        results = await asyncio.gather(*(source.stop(instant) for source in self._sources), return_exceptions=True)
        await asyncio.gather(*self._watches, return_exceptions=True)
        return "; ".join(str(result) for result in results if isinstance(result, Exception))

    async def kill(self) -> None:
        """End all at once."""
        self._stopping = True
        await asyncio.gather(*(source.kill() for source in self._sources), return_exceptions=True)
        await asyncio.gather(*self._watches, return_exceptions=True)

    async def end(self) -> HealFailed | None:
        """Take away what was put on the cluster to make the load; what is left, where that does not work. After `stop` or `kill`."""
        return None if self._job is None else await self._job.end()

    def _plans(self) -> list[LoadPlan]:
        """The load, where it is ours, and the look from outside; they start when the users are logged in."""
        issue, start_s = self._issue, self._issue.clock.now()
        outside = plan_outside(issue.description, hz=OUTSIDE_HZ, seed=issue.seed, start_s=start_s)
        if issue.description.load.engine == "none":
            return [outside]
        load = plan_load(issue.description, issue.plan.load, rate_per_s=issue.plan.rate_per_s, seed=issue.seed, start_s=start_s)
        return [load, outside]

    async def _come_up(self, load: LoadPlan, users: dict[str, list[KnownUser]]) -> None:
        """Have the load's pods ready, where it comes from pods. Raises LoadWorkerError, TargetError or Unreachable."""
        issue, how = self._issue, self._issue.description.load
        if isinstance(how, JobLoad):
            owner = Owner(issue.run_id, round(issue.plan.length_s + JOB_OUTLIVES_S))
            order = self._order(load, users[load.source])
            self._job = LoadJob(Site(issue.description.cluster, how, owner), order, issue.record, issue.clock, issue.receipts)
            await self._job.come_up()

    def _source(self, plan: LoadPlan, users: list[KnownUser]) -> Source:
        if self._job is not None and plan.source == "load":
            self._job.start_s = plan.start_s
            return self._job
        return LoadWorker(self._order(plan, users), self._issue.record, self._issue.clock)

    def _order(self, plan: LoadPlan, users: list[KnownUser]) -> WorkerOrder:
        return order_for(self._issue.description, plan, known=users, seed=self._issue.seed)

    async def _log_in(self, numbers: Sequence[int]) -> list[KnownUser]:
        try:
            return await log_in(self._issue.description, numbers, os.environ)
        except LoginError as error:
            raise RefusedError(str(error)) from error
