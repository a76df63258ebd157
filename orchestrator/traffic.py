"""The requests of a run: the background load and the look from outside, each a worker process of its own."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from orchestrator.errors import RefusedError
from orchestrator.load.login import LoginError, log_in
from orchestrator.load.order import KnownUser
from orchestrator.load.profile import order_for, plan_load, plan_outside, user_numbers
from orchestrator.load.worker import Live, LoadWorker, LoadWorkerError
from orchestrator.plan import Plan
from probes.clock import Clock
from probes.target import TargetDescription
from steady_state.load_plan import LoadPlan
from steady_state.observations import Observation

OUTSIDE_HZ = 10.0
"""Source: design 5, every user-visible route from outside at 10 Hz."""
START_LEAD_S = 1.5
"""The workers get their order this long before the first request is due."""
DEVICES = 4
"""Users of the delivery sampler: numbers of their own, from the middle of the test users."""


@dataclass(frozen=True, slots=True)
class Issue:
    """What is needed to send requests: plan, platform, seed, clock, and where lines go."""

    plan: Plan
    description: TargetDescription
    seed: int
    clock: Clock
    record: Callable[[Observation], None]


class Traffic:
    """The sources of requests: load and look from outside, or the latter alone. `lost` says which worker died."""

    def __init__(self, issue: Issue) -> None:
        self._issue = issue
        self._workers: list[LoadWorker] = []
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
        # The log-ins took their time: nothing may be due before the workers are ready.
        start_s = self._issue.clock.now() + START_LEAD_S
        plans = [plan.model_copy(update={"start_s": start_s}) for plan in plans]
        self._workers = [self._worker(plan, users[plan.source]) for plan in plans]
        try:
            await asyncio.gather(*(worker.start() for worker in self._workers))
        except LoadWorkerError as error:
            raise RefusedError(f"the load could not be started: {error}") from error
        self._watches = [asyncio.create_task(worker.wait()) for worker in self._workers]

    @property
    def live(self) -> Live:
        """The newest full second of the load; of the look from outside where there is no load."""
        return self._workers[0].live if self._workers else Live()

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
        results = await asyncio.gather(*(worker.stop(instant) for worker in self._workers), return_exceptions=True)
        await asyncio.gather(*self._watches, return_exceptions=True)
        return "; ".join(str(result) for result in results if isinstance(result, Exception))

    async def kill(self) -> None:
        """End all at once."""
        self._stopping = True
        await asyncio.gather(*(worker.kill() for worker in self._workers), return_exceptions=True)
        await asyncio.gather(*self._watches, return_exceptions=True)

    def _plans(self) -> list[LoadPlan]:
        """The load, where it is ours, and the look from outside; they start when the users are logged in."""
        issue, start_s = self._issue, self._issue.clock.now()
        outside = plan_outside(issue.description, hz=OUTSIDE_HZ, seed=issue.seed, start_s=start_s)
        if issue.description.load.engine == "none":
            return [outside]
        load = plan_load(issue.description, issue.plan.load, rate_per_s=issue.plan.rate_per_s, seed=issue.seed, start_s=start_s)
        return [load, outside]

    def _worker(self, plan: LoadPlan, users: list[KnownUser]) -> LoadWorker:
        order = order_for(self._issue.description, plan, known=users, seed=self._issue.seed)
        return LoadWorker(order, self._issue.record, self._issue.clock)

    async def _log_in(self, numbers: Sequence[int]) -> list[KnownUser]:
        try:
            return await log_in(self._issue.description, numbers, os.environ)
        except LoginError as error:
            raise RefusedError(str(error)) from error
