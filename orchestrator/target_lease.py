"""The run's hold on its target: taken before anything is touched, renewed while it goes, given up at the end."""

from __future__ import annotations

from collections.abc import Callable

from orchestrator.errors import RefusedError, TargetError
from orchestrator.targets.lease import Held, LeaseClient
from probes.clock import Clock
from probes.target import TargetDescription

LASTS_S = 15
RENEW_S = 5.0
"""Three renewals may fail before anybody else may think that we are gone."""
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
        self._held: Held | None = None

    async def take(self, tell: Callable[[str], None]) -> None:
        """Raises RefusedError when another run has it, TargetError when the API server does not do it."""
        seen = await self._client.read()
        if seen is not None and seen.holder not in ("", self._holder):
            tell(f"run {seen.holder} has the lease of this target; looking for {LASTS_S} s whether it still goes")
            seen = await self._abandoned(seen)
        self._held = await self._client.write(self._holder, seen, lasts_s=LASTS_S, now=self._stamp())
        if self._held is None:
            raise RefusedError("another run took the lease of this target at the same moment: wait until it is over")

    async def keep(self) -> str:
        """Renew it until cancelled; returns why it was lost."""
        renewed = self._clock.now()
        while True:
            await self._clock.sleep_until(self._clock.now() + RENEW_S)
            try:
                held = await self._client.write(self._holder, self._held, lasts_s=LASTS_S, now=self._stamp())
            except TargetError as error:
                if self._clock.now() - renewed > LASTS_S:
                    return f"the lease of the target could not be renewed for {LASTS_S} s: {error}"
                continue
            if held is None:
                return "somebody else took the lease of the target"
            self._held, renewed = held, self._clock.now()

    async def give_up(self) -> None:
        """Let go of it and of the API server. Raises TargetError when the server does not take it; it then ends by itself."""
        try:
            if self._held is not None:
                await self._client.delete(self._held)
        finally:
            self._client.close()

    async def give_up_anothers(self) -> None:
        """As `give_up`, for a holder that is no more and left it behind; nothing happens when another has it. Raises TargetError."""
        seen = await self._client.read()
        self._held = seen if seen is not None and seen.holder == self._holder else None
        await self.give_up()

    def _stamp(self) -> str:
        return f"{self._clock.wall():%Y-%m-%dT%H:%M:%S.%f}Z"

    async def _abandoned(self, seen: Held) -> Held:
        """The lease as it was, after nobody renewed it for as long as it lasts. Raises RefusedError when somebody does."""
        deadline = self._clock.now() + LASTS_S
        while self._clock.now() < deadline:
            await self._clock.sleep_until(self._clock.now() + LOOK_S)
            now = await self._client.read()
            if now is None or now != seen:
                break
        else:
            return seen
        raise RefusedError(f"run {seen.holder} is on this target: wait until it is over, or end it with `orchestrator abort`")
