"""What the faults on a proxied link share: the canary that feels the link, its exposure, and the way back."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from orchestrator.errors import HealFailed, TargetError
from orchestrator.faults.base import Exposure, Receipt, Surroundings
from orchestrator.faults.counters import counted, named, pods_of
from orchestrator.targets.toxiproxy import Proxy, Toxiproxy
from probes.clients.http import HttpClient
from probes.clients.kube import KubeReader
from probes.clients.unreachable import Unreachable
from probes.target import LinkRole

CANARY_TIMEOUT_S = 2.0
HEAL_DEADLINE_S = 5.0
LOOKS = 3
"""So many canaries are compared before a fault and under it."""


@dataclass(frozen=True, slots=True)
class Felt:
    """One canary request through the link: how long it took, or why there was no answer."""

    seconds: float
    answered: bool
    why: str = ""


class Link:
    """One link of the platform that passes a Toxiproxy."""

    def __init__(self, around: Surroundings) -> None:
        assert isinstance(around.role, LinkRole)
        self.role = around.role
        self.toxiproxy = Toxiproxy(self.role.toxiproxy_url)
        self._clock = around.clock
        self._kube = KubeReader(around.description.cluster, around.clock, threads=4)

    async def close(self) -> None:
        await self.toxiproxy.close()
        self._kube.close()

    async def clean_proxy(self) -> Proxy:
        """The proxy as it is, which must be enabled and without toxics. Raises TargetError."""
        return await clean_proxy(self.toxiproxy, self.role.proxy)

    async def canary(self, listen: str) -> Felt:
        """One request through the link on a new connection."""
        client = HttpClient(f"http://{listen}", timeout_s=CANARY_TIMEOUT_S)
        started = self._clock.now()
        try:
            await client.request("GET", self.role.canary_path)
        except Unreachable as error:
            return Felt(self._clock.now() - started, False, error.why)
        finally:
            await client.close()
        return Felt(self._clock.now() - started, True)

    async def quick_canary_s(self, listen: str) -> float:
        """Seconds of a canary through the healthy link: the quickest of three. Raises TargetError when the link is down.

        A busy machine only adds to what the link takes, so the quickest is nearest to it.
        """
        looks = [await self.canary(listen) for _ in range(LOOKS)]
        if not all(look.answered for look in looks):
            raise TargetError(f"the canary got no answer through the healthy link {self.role.proxy}: {looks[-1].why}")
        return min(look.seconds for look in looks)

    async def slowed_canary_s(self, listen: str) -> float:
        """The quickest of three canaries sent together, answered or not: no single stall can look like a delay."""
        looks = await asyncio.gather(*(self.canary(listen) for _ in range(LOOKS)))
        return min(look.seconds for look in looks)

    async def counted(self) -> int:
        """Calls through the link so far, by the counter of the calling service."""
        source = self.role.exposure
        return await counted(self._kube, await pods_of(self._kube, "deployments", source.workload), source)

    async def exposure(self, receipt: Receipt) -> Exposure:
        before = receipt.data["counted"]
        assert isinstance(before, int)
        return Exposure(await self.counted() - before, named(self.role.exposure))

    async def clean(self, receipt: Receipt, *, toxics: list[str]) -> None:
        """Take away our toxics and enable the proxy. Raises HealFailed."""
        await clean(self.toxiproxy, proxy_of(self.role.proxy, receipt), toxics=toxics)


def proxy_of(name: str, receipt: Receipt) -> Proxy:
    """The proxy as it was when the receipt was written."""
    return Proxy(name, str(receipt.data["listen"]), str(receipt.data["upstream"]), True, ())


async def clean_proxy(server: Toxiproxy, name: str) -> Proxy:
    """The proxy as it is, which must be enabled and without toxics. Raises TargetError."""
    proxy = await server.proxy(name)
    if not proxy.enabled or proxy.toxics:
        left = "disabled" if not proxy.enabled else f"toxics {', '.join(proxy.toxics)}"
        raise TargetError(f"proxy {proxy.name} is not clean before the fault: {left}")
    return proxy


async def clean(server: Toxiproxy, proxy: Proxy, *, toxics: list[str]) -> None:
    """Take these toxics away, enable the proxy, look; the hard way is to make the proxy anew. Raises HealFailed."""
    try:
        async with asyncio.timeout(HEAL_DEADLINE_S):
            await _clean_softly(server, proxy.name, toxics)
            return
    except (TargetError, TimeoutError):
        pass
    try:
        async with asyncio.timeout(HEAL_DEADLINE_S):
            await server.recreate(proxy)
            await _clean_softly(server, proxy.name, toxics)
    except (TargetError, TimeoutError) as error:
        raise HealFailed(
            f"proxy {proxy.name} at {server.url} could not be cleaned ({str(error) or 'time-out'})",
            f"curl -X DELETE {server.url}/proxies/{proxy.name} && curl -X POST {server.url}/proxies -d "
            f'\'{{"name":"{proxy.name}","listen":"{proxy.listen}","upstream":"{proxy.upstream}","enabled":true}}\'',
        ) from error


async def _clean_softly(server: Toxiproxy, proxy: str, toxics: list[str]) -> None:
    for toxic in toxics:
        await server.remove_toxic(proxy, toxic)
    await server.set_enabled(proxy, enabled=True)
    left = await server.proxy(proxy)
    if not left.enabled or set(left.toxics) & set(toxics):
        raise TargetError(f"proxy {left.name} still shows enabled={left.enabled}, toxics {left.toxics}")
