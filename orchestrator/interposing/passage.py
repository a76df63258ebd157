"""What passes an interposed proxy and what goes past it: by the dependency's own list of connections, else by the proxy's bytes."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from orchestrator.errors import TargetError
from orchestrator.faults.base import Exposure
from orchestrator.targets.toxiproxy import Toxiproxy
from probes.clients.connections import Connection
from probes.clients.kube import KubeReader
from probes.clients.pods import Pod, Selector
from probes.clients.postgres import PostgresReader
from probes.clients.redis_reader import RedisReader
from probes.clients.unreachable import Unreachable
from probes.target import Interpose, Peers, RedisPeers

TELLERS = {"redis": "CLIENT LIST", "postgres": "pg_stat_activity"}
WHOLE_SECOND_S = 1.0
"""Redis tells idle times in whole seconds."""


@dataclass(frozen=True, slots=True)
class Company:
    """The application's connections at a dependency: those that come from the proxy, and those that go past it."""

    passing: list[Connection]
    past: list[Connection]

    @property
    def total(self) -> int:
        return len(self.passing) + len(self.past)

    def busy(self, within_s: float) -> int:
        """How many of the passing ones have asked something in this time."""
        return sum(one.idle_s is not None and one.idle_s <= within_s + WHOLE_SECOND_S for one in self.passing)


class Mark(BaseModel):
    """A moment from which traffic is counted: its instant, the proxy's bytes then, and whether it counts them while they pass."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    t: float
    bytes_in: int = 0
    live: bool = False


class Passage:
    """One interposed link. Every call raises TargetError."""

    def __init__(self, interpose: Interpose, proxy: str, toxiproxy: Toxiproxy, kube: KubeReader) -> None:
        self._interpose = interpose
        self._proxy = proxy
        self._toxiproxy = toxiproxy
        self._kube = kube

    @property
    def teller(self) -> str:
        """Who tells the connections; empty where nobody does."""
        return TELLERS[self._interpose.peers.kind] if self._interpose.peers else ""

    async def company(self) -> Company:
        """Only where there is a teller."""
        assert self._interpose.peers is not None
        proxy = await proxy_pod(self._kube, self._interpose)
        found = await _connections(self._interpose.peers)
        return Company([one for one in found if one.host == proxy.ip], [one for one in found if one.host != proxy.ip])

    async def exposure(self, calls: Exposure, mark: Mark, now: float) -> Exposure:
        """Traffic through the proxy since the mark. `calls` is what the application counted, old connections and all."""
        if self.teller:
            return self._told(await self.company(), calls, now - mark.t)
        grown = await self.bytes_in() - mark.bytes_in
        if mark.live:
            return Exposure(max(0, grown), f"bytes at proxy {self._proxy}")
        # That some of them pass was proven when the run began; how many go past it nobody tells.
        return Exposure(calls.count, f"{calls.source}; proxy {self._proxy} counts a connection when it ends: {grown} bytes")

    def _told(self, company: Company, calls: Exposure, within_s: float) -> Exposure:
        busy = company.busy(within_s)
        if not busy and not company.past:
            # Each was over before it was listed. They pass, for the run proved that some do and nobody is connected past the proxy.
            return Exposure(calls.count, f"{calls.source}; by {self.teller} no connection goes past proxy {self._proxy}")
        past = f"{len(company.past)} others do not pass it"
        return Exposure(busy, f"busy connections through proxy {self._proxy} by {self.teller} ({past})")

    async def bytes_in(self) -> int:
        """Bytes from clients so far; the real server leaves out connections that are open still."""
        return await self._toxiproxy.received_bytes(self._proxy)

    async def count_all(self) -> None:
        """Close the proxy's connections, so that the real server counts them; who holds one must open another."""
        await self._toxiproxy.set_enabled(self._proxy, enabled=False)
        await self._toxiproxy.set_enabled(self._proxy, enabled=True)


async def proxy_pod(kube: KubeReader, interpose: Interpose) -> Pod:
    """The one pod of Toxiproxy: a proxy lives in one server, so a second pod would get connections that it knows nothing of."""
    query = Selector(interpose.proxy_selector).query()
    try:
        pods = (await kube.pods(label_selector=query)).pods
    except Unreachable as error:
        raise TargetError(str(error)) from error
    if len(pods) != 1 or not pods[0].ready:
        raise TargetError(
            f"{len(pods)} pods match {query}, {sum(pod.ready for pod in pods)} of them ready; exactly one Toxiproxy is needed"
        )
    return pods[0]


async def _connections(peers: Peers) -> list[Connection]:
    try:
        if isinstance(peers, RedisPeers):
            redis = RedisReader(peers.url)
            try:
                return await redis.connections()
            finally:
                await redis.close()
        postgres = PostgresReader(peers.dsn, what="the interposed server")
        try:
            return await postgres.connections()
        finally:
            postgres.close()
    except Unreachable as error:
        raise TargetError(f"the connections of the dependency cannot be told: {error}") from error
