"""The run's hold on its target: taken before anything is touched, renewed while it goes, given up at the end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from orchestrator.errors import RefusedError, TargetError
from orchestrator.targets.lease import LeaseClient, LeaseState
from probes.clock import Clock
from probes.target import TargetDescription

LASTS_S = 15
"""After so long without a renewal another run may take it."""
RENEW_S = 3.0
OVER_AFTER_S = 10.0
"""After so long without a renewal the run ends: its heals are through before another may come."""
LOOK_S = 1.0


def lease_of(description: TargetDescription, run_id: str, clock: Clock) -> TargetLease | None:
    """A run's lease of a platform, None where the platform is no cluster. Raises Unreachable when the kubeconfig cannot be used."""
    if description.kubernetes is None:
        return None
    return TargetLease(LeaseClient(description.kubernetes), run_id, clock)


class TargetLease:
    """One holder's lease. Whether another holder is gone is told by our own clock: its lease then no longer changes."""

    def __init__(self, client: LeaseClient, holder: str, clock: Clock) -> None:
        self._client = client
        self._holder = holder
        self._clock = clock

    async def take(self, tell: Callable[[str], None]) -> None:
        """Raises RefusedError when another run has it, TargetError when the API server does not do it."""
        seen = await self._client.read()
        if seen is not None and seen.holder not in ("", self._holder):
            tell(f"run {seen.holder} has the lease of this target; looking for {LASTS_S} s whether it still goes")
            seen = await self._abandoned(seen)
        if await self._write(seen) is None:
            raise RefusedError("another run took the lease of this target at the same moment: wait until it is over")

    async def is_renewed(self) -> bool:
        """Whether it is ours and somebody else renews it in our name. Takes as long as a lease lasts where nobody does.

        Raises TargetError.
        """
        seen = await self._client.read()
        if seen is None or seen.holder != self._holder:
            return False
        try:
            await self._abandoned(seen)
        except RefusedError:
            return True
        return False

    async def keep(self) -> str:
        """Renew it until cancelled; returns why it was lost."""
        renewed = self._clock.now()
        while True:
            await self._clock.sleep_until(self._clock.now() + RENEW_S)
            began = self._clock.now()
            try:
                async with asyncio.timeout(max(0.0, renewed + OVER_AFTER_S - began)):
                    lost = await self.renew()
            except (TargetError, TimeoutError) as error:
                if self._clock.now() >= renewed + OVER_AFTER_S - RENEW_S:
                    return f"the lease of the target could not be renewed: {str(error) or 'the API server does not answer'}"
                continue
            if lost:
                return lost
            renewed = began

    async def renew(self) -> str:
        """Why it is ours no more; empty when it is. Raises TargetError.

        Read first: the answer to our last write may have been lost.
        """
        seen = await self._client.read()
        if seen is None or seen.holder != self._holder:
            return "the lease of the target is gone" if seen is None else f"run {seen.holder} took the lease of the target"
        return "" if await self._write(seen) is not None else "somebody else took the lease of the target"

    async def give_up(self) -> None:
        """Let go of it, if it is ours, and of the API server. Raises TargetError when that fails; it then ends by itself."""
        try:
            seen = await self._client.read()
            if seen is not None and seen.holder == self._holder:
                await self._client.delete(seen)
        finally:
            self.close()

    def close(self) -> None:
        """Let go of the API server alone."""
        self._client.close()

    async def _write(self, seen: LeaseState | None) -> LeaseState | None:
        stamp = f"{self._clock.wall():%Y-%m-%dT%H:%M:%S.%f}Z"
        return await self._client.write(self._holder, seen, lasts_s=LASTS_S, now=stamp)

    async def _abandoned(self, seen: LeaseState) -> LeaseState | None:
        """The lease as it was, after nobody renewed it for as long as it lasts; None when it was given up.

        Raises RefusedError when somebody renews it.
        """
        deadline = self._clock.now() + LASTS_S
        while self._clock.now() < deadline:
            await self._clock.sleep_until(self._clock.now() + LOOK_S)
            now = await self._client.read()
            if now is None:
                return None
            if now != seen:
                raise RefusedError(f"run {seen.holder} is on this target: wait until it is over, or end it with `orchestrator abort`")
        return seen
