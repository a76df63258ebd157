"""May this Service be interposed? Looks only; every reason against it names what stands in the way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from orchestrator.errors import TargetError
from orchestrator.interposing.links import InterposedLink
from orchestrator.interposing.passage import proxy_pod
from orchestrator.interposing.switch import Switch, Way
from orchestrator.targets.services import NO_ADDRESS, Service, ServiceClient
from orchestrator.targets.toxiproxy import Toxiproxy
from probes.clients.kube import KubeReader
from probes.clients.pods import Pod, Selector
from probes.target import CopySource, RedisPeers, RedisRole, ReplicaRole, TargetDescription

UPSTREAM_SUFFIX = "-chaos-upstream"


@dataclass(frozen=True, slots=True)
class Seen:
    """What an interposition begins with: the Service as it is, the one pod of Toxiproxy, and what would be written."""

    service: Service
    pod: Pod
    switch: Switch


async def look(link: InterposedLink, services: ServiceClient, toxiproxy: Toxiproxy, kube: KubeReader) -> Seen:
    """Raises TargetError with the reason against."""
    name = link.interpose.service
    service = await services.read(name)
    if service is None:
        raise TargetError(f"there is no Service {name} to interpose")
    upstream = await services.read(name + UPSTREAM_SUFFIX)
    if upstream is not None:
        owner = f"run {upstream.owner}; when that is over: orchestrator heal runs/{upstream.owner}" if upstream.owner else "somebody else"
        raise TargetError(f"Service {name} is interposed already (Service {upstream.name} is there), by {owner}")
    switch = planned_switch(link, service)
    pod = await proxy_pod(kube, link.interpose)
    if Selector(service.selector).matches(pod.labels):
        raise TargetError(f"Service {name} leads to the pod {pod.name} of Toxiproxy already: an interposition was left, or it needs none")
    for proxy in switch.proxies:
        if await toxiproxy.exists(proxy):
            raise TargetError(f"Toxiproxy {toxiproxy.url} has a proxy {proxy} already, which the interposition of {name} would make")
    if link.interpose.peers is None:
        await toxiproxy.received_bytes(link.proxy)
    return Seen(service, pod, switch)


def planned_switch(link: InterposedLink, service: Service) -> Switch:
    """What would be written. Raises TargetError for a Service that cannot be led through a proxy."""
    interpose = link.interpose
    if not service.selector:
        raise TargetError(f"Service {service.name} has no selector: there is nothing to switch")
    if service.cluster_ip in ("", NO_ADDRESS):
        raise TargetError(f"Service {service.name} is headless: its clients find the pods by DNS and would pass no proxy")
    proxies = [_proxy_at(link, service.name, port) for port in service.ports]
    if link.proxy not in (name for name, _ in proxies):
        ports = ", ".join(str(port.get("name") or port["port"]) for port in service.ports)
        raise TargetError(f"Service {service.name} has no port {interpose.port}: it has {ports}")
    return Switch(
        service=service.name,
        upstream=service.name + UPSTREAM_SUFFIX,
        ports=[port["port"] for port in service.ports],
        before=Way(selector=service.selector, targets=service.targets),
        through=Way(selector=interpose.proxy_selector, targets=[listen for _, listen in proxies]),
        toxiproxy_url=link.toxiproxy_url,
        proxies=[name for name, _ in proxies],
    )


def _proxy_at(link: InterposedLink, service: str, port: Mapping[str, Any]) -> tuple[str, int]:
    """Name and listening port of the proxy behind one port of the Service: when its selector is switched, all its ports are."""
    if port.get("protocol", "TCP") != "TCP":
        raise TargetError(f"port {port['port']} of Service {service} speaks {port['protocol']}, which Toxiproxy cannot pass on")
    keys = (str(port.get("name", "")), str(port["port"]))
    if link.interpose.port in keys:
        return link.proxy, link.interpose.proxy_port
    for key in keys:
        if key in link.interpose.other_ports:
            return f"{link.proxy}-{port['port']}", link.interpose.other_ports[key]
    raise TargetError(f"Service {service} has a port {keys[0] or keys[1]}, too, which would lead nowhere: name it in interpose.other_ports")


def own_reading(link: InterposedLink, description: TargetDescription, address: str) -> str:
    """Who of us comes by this Service, by its name or its address in the cluster, so that bytes may be ours; empty where nobody does."""
    for who, url in _our_ways(link, description):
        host = urlsplit(url).hostname or ""
        if host == address or host.partition(".")[0] == link.interpose.service:
            return who
    return ""


def _our_ways(link: InterposedLink, description: TargetDescription) -> Iterator[tuple[str, str]]:
    """Where our readers of Redis, PostgreSQL and PubNub go while a run prepares."""
    peers = link.interpose.peers
    if peers is not None:
        yield "peers", peers.url if isinstance(peers, RedisPeers) else peers.dsn
    for name, role in description.roles.items():
        urls = [role.url] if isinstance(role, RedisRole) else []
        urls += [role.primary_dsn, *role.replica_dsns.values()] if isinstance(role, ReplicaRole) else []
        yield from ((f"role {name}", url) for url in urls)
    yield from ((f"breaker {source.name}", source.url) for source in description.breakers if isinstance(source, CopySource))
    if description.delivery is not None:
        yield "delivery", description.delivery.origin
