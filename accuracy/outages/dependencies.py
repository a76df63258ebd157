"""What a run itself needs of a platform, each behind relays that can be closed: a target description that leads through them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from accuracy.matrix.cluster import KubeConfig
from accuracy.matrix.tcp_relay import TcpRelay

Document = dict[str, Any]
SAMPLED_BREAKER, SAMPLED_REPLICA = "gateway->auth", "any-gateway"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a description is on its way to a run: the folder of the run, and the relays that live as long as the stack."""

    folder: Path
    document: Document
    relays: AsyncExitStack

    async def relayed(self, url: str, into: list[TcpRelay]) -> str:
        """The same URL through a relay of its own, which is added to the list."""
        parts = urlsplit(url)
        assert parts.hostname is not None
        assert parts.port is not None
        relay = await self.relays.enter_async_context(TcpRelay(parts.hostname, parts.port))
        into.append(relay)
        user, at, _ = parts.netloc.rpartition("@")
        return parts._replace(netloc=f"{user}{at}{relay.address}").geturl()


Through = Callable[[Place], Awaitable[list[TcpRelay]]]


async def api_server(place: Place) -> list[TcpRelay]:
    """The Kubernetes API, and with it everything that is read from pods."""
    kubernetes = place.document["kubernetes"]
    config = KubeConfig.of(Path(kubernetes["kubeconfig"]))
    relay = await place.relays.enter_async_context(TcpRelay(*config.host_and_port))
    path = place.folder / "kubeconfig"
    path.write_text(yaml.safe_dump(config.through(relay.address)), encoding="utf-8")
    kubernetes["kubeconfig"] = str(path)
    return [relay]


async def toxiproxy(place: Place) -> list[TcpRelay]:
    """The API of Toxiproxy; the proxies themselves carry on."""
    relays: list[TcpRelay] = []
    roles = [role for role in place.document["roles"].values() if "toxiproxy_url" in role]
    moved = {url: await place.relayed(url, relays) for url in {role["toxiproxy_url"] for role in roles}}
    for role in roles:
        role["toxiproxy_url"] = moved[role["toxiproxy_url"]]
    return relays


async def redis(place: Place) -> list[TcpRelay]:
    """The cache, as its fault, its sampler and the copy of a breaker's state reach it."""
    relays: list[TcpRelay] = []
    role = place.document["roles"]["redis"]
    copies = [source for source in place.document["breakers"] if source["kind"] == "copy"]
    moved = {url: await place.relayed(url, relays) for url in {role["url"], *(source["url"] for source in copies)}}
    for one in (role, *copies):
        one["url"] = moved[one["url"]]
    return relays


async def postgres(place: Place) -> list[TcpRelay]:
    """The primary, and each replica at its direct address."""
    relays: list[TcpRelay] = []
    role = place.document["roles"]["postgres-replica"]
    role["primary_dsn"] = await place.relayed(role["primary_dsn"], relays)
    role["replica_dsns"] = {pod: await place.relayed(dsn, relays) for pod, dsn in role["replica_dsns"].items()}
    return relays


async def pubnub(place: Place) -> list[TcpRelay]:
    """The origin that the two test devices listen to."""
    relays: list[TcpRelay] = []
    place.document["delivery"]["origin"] = await place.relayed(place.document["delivery"]["origin"], relays)
    return relays


async def metrics(place: Place) -> list[TcpRelay]:
    """A page outside the cluster that tells a breaker's state. Those inside come by the API server."""
    relays: list[TcpRelay] = []
    url = await place.relayed(place.document["gateway_url"], relays)
    pages = [source for source in place.document["breakers"] if source["name"] == SAMPLED_BREAKER]
    for page in pages:
        place.document["breakers"].remove(page)
    page = {"kind": "health", "name": SAMPLED_BREAKER, "url": f"{url}/health", "replica": SAMPLED_REPLICA, "pointer": pages[0]["pointer"]}
    place.document["breakers"].append(page)
    return relays


@dataclass(frozen=True, slots=True)
class Dependency:
    """One of them. `injected` is the fault whose injection needs it most, `held` the one whose heal does.

    A sentence about its loss has one of the `words` in it, or the port at which it was looked for.
    """

    name: str
    through: Through
    injected: str
    held: str
    words: tuple[str, ...]


DEPENDENCIES = (
    Dependency("API server", api_server, "pod-kill", "replica-failure", ("/api/v1", "/apis/apps")),
    Dependency("Toxiproxy", toxiproxy, "qdrant-latency", "pubnub-partition", ("toxiproxy",)),
    Dependency("Redis", redis, "cache-flush", "qdrant-latency", ("cache saw nothing", "redis 127")),
    Dependency("PostgreSQL", postgres, "replica-failure", "replica-failure", ("replication saw nothing", "postgres 127")),
    Dependency("PubNub", pubnub, "pubnub-partition", "pubnub-partition", ("delivery saw nothing", "/v2/subscribe")),
    Dependency("metrics", metrics, "pubnub-partition", "pubnub-partition", (f"{SAMPLED_BREAKER}/{SAMPLED_REPLICA}",)),
)
