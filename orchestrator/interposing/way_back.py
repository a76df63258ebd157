"""The way back of an interposition: the Service restored exactly, then the proxy and the second Service taken away."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from orchestrator.errors import HealFailed, TargetError
from orchestrator.faults.base import Receipt
from orchestrator.interposing.switch import Switch, Way
from orchestrator.targets.services import Service, ServiceClient
from orchestrator.targets.toxiproxy import Toxiproxy
from probes.clock import Clock
from probes.target import Kubernetes

INTERPOSITION = "interposition"
"""The kind of its receipts."""
HEAL_DEADLINE_S = 5.0
"""For each way of restoring the Service; the rest has as long again."""
FENCE = "chaos.media-gateway/fence"
LOOK_S = 0.1
PROGRAMMED_S = 1.0
"""So long the nodes may still lead new connections to the old pods. Source: kube-proxy's minSyncPeriod, 1 s by default."""


class WayBack:
    """Heals with nothing but a receipt: idempotent, also when the interposition was cut off anywhere."""

    def __init__(self, receipt: Receipt, target: Kubernetes, clock: Clock) -> None:
        self._switch = Switch.model_validate(receipt.data)
        self._run_id = receipt.run_id
        self._target = target
        self._clock = clock
        self._services = ServiceClient(target)
        self._toxiproxy = Toxiproxy(self._switch.toxiproxy_url)

    async def close(self) -> None:
        self._services.close()
        await self._toxiproxy.close()

    async def heal(self, receipt: Receipt) -> None:
        """Raises HealFailed with the commands for a person."""
        was = await self._first_that_works((self._patched_back, self._merged_back))
        if was == "through":
            await self._until_led_back()
        try:
            async with asyncio.timeout(HEAL_DEADLINE_S):
                await self._take_away()
        except (TargetError, TimeoutError) as error:
            raise self._failed(f"what stood behind Service {self._switch.service} is still there", error) from error

    async def _first_that_works(self, ways: tuple[Callable[[Service], Awaitable[None]], ...]) -> str:
        """Restore the Service and read it back; how it was found: through, before, or gone."""
        trouble: Exception = TargetError("")
        for way in ways:
            try:
                async with asyncio.timeout(HEAL_DEADLINE_S):
                    return await self._restored(way)
            except (TargetError, TimeoutError) as error:
                trouble = error
        raise self._failed(f"Service {self._switch.service} could not be restored", trouble) from trouble

    async def _restored(self, way: Callable[[Service], Awaitable[None]]) -> str:
        service = await self._services.read(self._switch.service)
        if service is not None and self._is(service, self._switch.before):
            await self._fence(service.name)
            service = await self._services.read(service.name)
        if service is None:
            # One that somebody has deleted leads nowhere through us.
            return "gone"
        if self._is(service, self._switch.before):
            return "before"
        if not self._is(service, self._switch.through):
            shown = f"its selector is {service.selector}, its target ports are {service.targets}"
            raise self._failed(f"Service {service.name} was changed by somebody else meanwhile: {shown}", None)
        await way(service)
        left = await self._services.read(service.name)
        if left is not None and not self._is(left, self._switch.before):
            raise TargetError(f"it was read back with selector {left.selector} and target ports {left.targets}")
        return "through"

    async def _fence(self, name: str) -> None:
        """Change the Service's version and nothing else, so that a switch that is under way still cannot land."""
        for value in (self._run_id, None):
            await self._services.patch(name, {"metadata": {"annotations": {FENCE: value}}})

    async def _patched_back(self, service: Service) -> None:
        await self._services.patch(service.name, self._switch.back())

    async def _merged_back(self, service: Service) -> None:
        await self._services.patch(service.name, self._switch.merge_back(service.ports, service.version))

    def _is(self, service: Service, way: Way) -> bool:
        return way.is_of(service) and [port["port"] for port in service.ports] == self._switch.ports

    async def _until_led_back(self) -> None:
        """Wait until the Service leads to its pods again: who still comes to the proxy finds it. Not for ever: its pods may be away."""
        deadline = self._clock.now() + HEAL_DEADLINE_S
        try:
            wanted = await self._services.ready_addresses(self._switch.upstream)
            while self._clock.now() < deadline and await self._services.ready_addresses(self._switch.service) != wanted:
                await self._clock.sleep_until(self._clock.now() + LOOK_S)
        except TargetError:
            pass
        await self._clock.sleep_until(self._clock.now() + PROGRAMMED_S)

    async def _take_away(self) -> None:
        """The second Service first: it is in the same place as the first one, which answers. A Toxiproxy may not."""
        upstream = await self._services.read(self._switch.upstream)
        if upstream is not None and upstream.owner == self._run_id:
            await self._services.delete(upstream.name)
        for proxy in self._switch.proxies:
            await self._toxiproxy.delete(proxy)
        left = [proxy for proxy in self._switch.proxies if await self._toxiproxy.exists(proxy)]
        if left:
            raise TargetError(f"Toxiproxy {self._toxiproxy.url} still shows {', '.join(left)}")

    def _failed(self, what: str, error: Exception | None) -> HealFailed:
        why = "" if error is None else f" ({str(error) or 'time-out'})"
        return HealFailed(f"{what}{why}", self._switch.by_hand(context=self._target.context, namespace=self._target.namespace))
