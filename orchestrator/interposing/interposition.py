"""One link interposed: looked at, led through the proxy, proven by the application's own traffic."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from pydantic import JsonValue

from orchestrator.errors import TargetError
from orchestrator.faults.base import Receipt
from orchestrator.interposing.links import InterposedLink
from orchestrator.interposing.look import Seen, look, own_reading
from orchestrator.interposing.passage import Passage
from orchestrator.interposing.switch import Switch
from orchestrator.interposing.way_back import INTERPOSITION
from orchestrator.targets.services import Service, ServiceClient
from orchestrator.targets.toxiproxy import Proxy, Toxiproxy
from probes.clients.kube import KubeReader
from probes.clients.unreachable import Unreachable
from probes.clock import Clock
from probes.target import TargetDescription

READY_WITHIN_S = 5.0
LOOK_S = 0.1
PROVEN_WITHIN_S = 30.0
SETTLED_S = 1.0
"""So long the proxy's count must stand still before it is taken for whole: between a connection's end and its count lie a few
instructions (`link.go` of Toxiproxy 2.12)."""
CLOSE_EVERY_S = 10.0
"""Toxiproxy counts a connection when it ends; where nothing ended for so long, we end those that there are."""
_KEPT = ("name", "port", "targetPort", "protocol", "appProtocol")
"""What the second Service has of each port: a node port can only be had once."""


class Interposition:
    """The run owns the order: `look`, `receipt` in the ledger, `lead`, load, `prove`. The way back is `way_back.WayBack`."""

    def __init__(self, link: InterposedLink, description: TargetDescription, clock: Clock) -> None:
        """Raises Unreachable when the kubeconfig cannot be used."""
        self.link = link
        self._description = description
        self._clock = clock
        self._services = ServiceClient(description.cluster)
        self._kube = KubeReader(description.cluster, clock, threads=2)
        self._toxiproxy = Toxiproxy(link.toxiproxy_url)
        self._passage = Passage(link.interpose, link.proxy, self._toxiproxy, self._kube)
        self._bytes_before: int | None = None
        """None where bytes prove nothing: the proxy does not count them, or they may be ours."""

    async def close(self) -> None:
        self._services.close()
        self._kube.close()
        await self._toxiproxy.close()

    async def look(self) -> Seen:
        """Touches nothing. Raises TargetError with the reason against."""
        seen = await look(self.link, self._services, self._toxiproxy, self._kube)
        reader = self._own_reader(seen)
        if reader and not self._passage.teller:
            raise TargetError(f"{reader} reads through Service {seen.service.name}, so its bytes would be ours: give peers")
        return seen

    def _own_reader(self, seen: Seen) -> str:
        return own_reading(self.link, self._description, seen.service.cluster_ip)

    def receipt(self, seen: Seen, run_id: str) -> Receipt:
        settings: dict[str, JsonValue] = {"role": self.link.role}
        target = f"Service {seen.service.name}: {_words(seen.service.selector)} to {_words(self.link.interpose.proxy_selector)}"
        name = f"interpose {self.link.name}"
        return Receipt(
            fault=name, kind=INTERPOSITION, run_id=run_id, settings=settings, target=target, data=seen.switch.model_dump(mode="json")
        )

    async def lead(self, seen: Seen, run_id: str) -> None:
        """Lead the Service through the proxy. Nobody comes this way before both are known to stand. Raises TargetError."""
        switch = seen.switch
        ports = [{key: port[key] for key in _KEPT if key in port} for port in seen.service.ports]
        upstream = await self._services.create(switch.upstream, owner=run_id, selector=switch.before.selector, ports=ports)
        await self._until(f"Service {upstream.name} has ready pods", lambda: self._has_ends(upstream))
        for name, listen, port in zip(switch.proxies, switch.through.targets, switch.ports, strict=True):
            await self._toxiproxy.create(Proxy(name, _joined(seen.pod.ip, int(listen)), _joined(upstream.cluster_ip, port), True, ()))
        await self._until(f"proxy {self.link.proxy} answers in pod {seen.pod.name}", lambda: self._listens(seen))
        if not self._own_reader(seen):
            self._bytes_before = await self._own_bytes()
        await self._services.patch(switch.service, switch.there(await self._version(switch)))
        shown = await self._services.read(switch.service)
        if shown is None or not switch.through.is_of(shown):
            raise TargetError(f"Service {switch.service} does not show the selector that was written: something else writes it, too")

    async def _version(self, switch: Switch) -> str:
        """Of the Service, which must be as the receipt says still."""
        service = await self._services.read(switch.service)
        if service is None or not switch.before.is_of(service):
            raise TargetError(f"Service {switch.service} was changed while it was being interposed")
        return service.version

    async def _own_bytes(self) -> int | None:
        """What our own requests have made the proxy count: all of them, so that none is taken for the application's later."""
        try:
            counted = await self._passage.bytes_in()
        except TargetError:
            if not self._passage.teller:
                raise
            return None
        await self._passage.count_all()
        since = self._clock.now()
        while self._clock.now() < since + SETTLED_S:
            await self._clock.sleep_until(self._clock.now() + LOOK_S)
            before, counted = counted, await self._passage.bytes_in()
            since = since if counted == before else self._clock.now()
        return counted

    async def prove(self) -> str:
        """Return, in words, how the application's traffic was seen to pass. Raises TargetError when it does not in time."""
        began = self._clock.now()
        closed = 0
        while self._clock.now() < began + PROVEN_WITHIN_S:
            found = await self._passes(closed)
            if found:
                return found
            if not self._passage.teller and self._clock.now() >= began + (closed + 1) * CLOSE_EVERY_S:
                await self._passage.count_all()
                closed += 1
            await self._clock.sleep_until(self._clock.now() + LOOK_S)
        raise TargetError(
            f"nothing of the application passed proxy {self.link.proxy} within {PROVEN_WITHIN_S:g} s: {await self._why_not()}"
        )

    async def _passes(self, closed: int) -> str:
        """By a listed connection, else by bytes: who opens one for each request is gone before a list shows it."""
        company = await self._passage.company() if self._passage.teller else None
        if company is None:
            past = "how many older connections do not pass it is unknown: the dependency does not tell them"
        else:
            past = f"{len(company.past)} of {company.total} open connections do not pass it ({self._passage.teller})"
            busy = company.busy(PROVEN_WITHIN_S)
            if busy:
                return f"{busy} of its connections come from the proxy and ask; {past}"
        grown = 0 if self._bytes_before is None else await self._passage.bytes_in() - self._bytes_before
        if grown <= 0:
            return ""
        ended = f", after its connections were closed {closed} times so that they are counted" if closed else ""
        return f"{grown} bytes of its own{ended}; {past}"

    async def _why_not(self) -> str:
        if not self._passage.teller:
            return "older connections do not pass it; restart who holds them, then run again"
        company = await self._passage.company()
        return f"{len(company.past)} connections do not come from it ({self._passage.teller}); restart who holds them, then run again"

    async def _has_ends(self, upstream: Service) -> bool:
        return bool(await self._services.ready_addresses(upstream.name))

    async def _listens(self, seen: Seen) -> bool:
        """Whether somebody listens; where the dependency speaks HTTP, whether it answers through the proxy."""
        try:
            answer = await self._kube.pod_get(seen.pod.name, self.link.interpose.proxy_port, self.link.canary_path or "/")
        except Unreachable:
            return False
        if self.link.canary_path:
            return answer.status < 500
        # A dependency of another kind answers nonsense to HTTP, or closes: what matters is that nobody refused.
        return b"refused" not in answer.body

    async def _until(self, what: str, holds: Callable[[], Awaitable[bool]]) -> None:
        deadline = self._clock.now() + READY_WITHIN_S
        while not await holds():
            if self._clock.now() > deadline:
                raise TargetError(f"not within {READY_WITHIN_S:g} s: {what}")
            await self._clock.sleep_until(self._clock.now() + LOOK_S)


def _joined(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _words(selector: dict[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in selector.items())
