"""What the faults on a proxied link share: the canary that feels the link, its exposure, and the way back."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from pydantic import JsonValue

from orchestrator.errors import HealFailed, TargetError
from orchestrator.faults.base import BlastRadius, Exposure, Receipt, Surroundings
from orchestrator.faults.counters import counted, named, pods_of
from orchestrator.interposing.passage import Mark, Passage, proxy_pod
from orchestrator.targets.toxiproxy import Proxy, Toxiproxy
from probes.clients.http import HttpClient
from probes.clients.kube import KubeReader
from probes.clients.postgres import PostgresReader
from probes.clients.redis_reader import RedisReader
from probes.clients.unreachable import Unreachable
from probes.target import Interpose, LinkRole

CANARY_TIMEOUT_S = 2.0
HEAL_DEADLINE_S = 5.0
BAD_GATEWAY = 502
"""From here on an answer through the API server may be its own: that there was none."""
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
        self._proxy_pod = ""
        self._kube = KubeReader(around.description.cluster, around.clock, threads=4)

    async def close(self) -> None:
        await self.toxiproxy.close()
        self._kube.close()

    async def preview(self) -> BlastRadius:
        """The one link. Where it is interposed its proxy may be made later, with the run."""
        if self.role.interpose is None or await self.toxiproxy.exists(self.role.proxy):
            await self.clean_proxy()
        return BlastRadius(f"link {self.role.proxy}", 1, 1)

    async def clean_proxy(self) -> Proxy:
        """The proxy as it is, which must be enabled and without toxics. Raises TargetError."""
        return await clean_proxy(self.toxiproxy, self.role.proxy)

    async def canary(self, listen: str) -> Felt:
        """One request through the link on a new connection."""
        started = self._clock.now()
        try:
            await self._asked(listen)
        except Unreachable as error:
            return Felt(self._clock.now() - started, False, error.why)
        return Felt(self._clock.now() - started, True)

    async def _asked(self, listen: str) -> None:
        """Raises Unreachable where no answer came."""
        if self.role.canary_url:
            await ask(self.role.canary_url, timeout_s=CANARY_TIMEOUT_S)
        elif self.role.interpose is not None:
            await self._asked_in_pod(self.role.interpose)
        else:
            await ask(f"http://{listen}{self.role.canary_path}", timeout_s=CANARY_TIMEOUT_S)

    async def _asked_in_pod(self, interpose: Interpose) -> None:
        """Through the API server: where we stand, the proxy's pod may have no address."""
        if not self._proxy_pod:
            self._proxy_pod = (await proxy_pod(self._kube, interpose)).name
        path = self.role.canary_path
        answer = await self._kube.pod_get(self._proxy_pod, interpose.proxy_port, path, timeout_s=CANARY_TIMEOUT_S)
        if answer.status >= BAD_GATEWAY:
            raise Unreachable(f"GET {path} in pod {self._proxy_pod}", f"{answer.status} {answer.body[:120]!r}", status=answer.status)

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

    async def _counted(self) -> int:
        """Calls so far, by the counter of the calling service."""
        source = self.role.exposure
        return await counted(self._kube, await pods_of(self._kube, "deployments", source.workload), source)

    async def counts(self) -> dict[str, JsonValue]:
        """What `exposure` compares with, for the receipt."""
        found: dict[str, JsonValue] = {"counted": await self._counted()}
        passage = self._passage()
        return found if passage is None else found | await self._passed(passage)

    async def exposure(self, receipt: Receipt) -> Exposure:
        before = receipt.data["counted"]
        assert isinstance(before, int)
        calls = Exposure(await self._counted() - before, named(self.role.exposure))
        passage = self._passage()
        return calls if passage is None else await passage.exposure(calls, Mark.model_validate(receipt.data["mark"]), self._clock.now())

    def _passage(self) -> Passage | None:
        if self.role.interpose is None:
            return None
        return Passage(self.role.interpose, self.role.proxy, self.toxiproxy, self._kube)

    async def _passed(self, passage: Passage) -> dict[str, JsonValue]:
        """Whether the proxy counts live is tried with a canary, whose connection the API server keeps open."""
        if passage.teller:
            return {"mark": Mark(t=self._clock.now()).model_dump()}
        before = await passage.bytes_in()
        await self.canary("")
        now = await passage.bytes_in()
        return {"mark": Mark(t=self._clock.now(), bytes_in=now, live=now > before).model_dump()}

    async def clean(self, receipt: Receipt, *, toxics: list[str]) -> None:
        """Take away our toxics and enable the proxy. Raises HealFailed."""
        await clean(self.toxiproxy, proxy_of(self.role.proxy, receipt), toxics=toxics)


async def ask(url: str, *, timeout_s: float) -> None:
    """The least that can be asked at this address, on a new connection: PING, SELECT 1, or GET. Raises Unreachable."""
    scheme, _, rest = url.partition("://")
    if scheme in ("redis", "rediss"):
        redis = RedisReader(url, timeout_s=timeout_s)
        try:
            await redis.ping()
        finally:
            await redis.close()
    elif scheme in ("postgres", "postgresql"):
        postgres = PostgresReader(url, what="the link's canary", timeout_s=timeout_s)
        try:
            await postgres.ping()
        finally:
            postgres.close()
    else:
        host, slash, path = rest.partition("/")
        http = HttpClient(f"{scheme}://{host}", timeout_s=timeout_s)
        try:
            await http.request("GET", slash + path)
        finally:
            await http.close()


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
