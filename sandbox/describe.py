"""The sandbox's target description: what a chaos orchestrator must know to run an experiment on it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sandbox.in_cluster import ClusterAddresses
from sandbox.platform import database_url
from sandbox.ports import LINKS, NAMESPACE, REPLICAS, Places
from sandbox.settings import Settings

TIME_SCALE, LOAD_SCALE = 15, 10
"""A sandbox runs the specification's hour in 4 minutes, at 100 requests/s."""
USERS = 1000
CONTENT_ITEMS = 10_000
UNKNOWN = "not-up"

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a platform is. Before a sandbox is up, `host:port` of everything is unknown and only the roles are told."""

    kubeconfig: Path
    addresses: Places | None
    name: str = "sandbox"
    context: str = "sandbox"
    shares_our_machine: bool = True

    def service(self, name: str) -> str:
        return UNKNOWN if self.addresses is None else str(self.addresses.service(name))

    def canary(self, link: str, path: str) -> Document:
        """How the link is felt: where Toxiproxy says that it listens, which in a pod of its own is no address for others."""
        if self.shares_our_machine or self.addresses is None:
            return {"canary_path": path}
        return {"canary_url": f"http://{self.addresses.link(link)}{path}"}

    def link_dsns(self, links: dict[str, str]) -> Document:
        """The same for replicas, by pod."""
        if self.shares_our_machine or self.addresses is None:
            return {}
        return {"link_dsns": {pod: database_url(str(self.addresses.link(link))) for pod, link in links.items()}}


IN_CLUSTER = Place(
    kubeconfig=Path("/etc/chaos/kubeconfig/kubeconfig"),
    addresses=ClusterAddresses(f".{NAMESPACE}.svc"),
    name=NAMESPACE,
    context="in-cluster",
    shares_our_machine=False,
)
"""The platform that `manifests/platform` makes, as a pod of the same cluster sees it."""


def description(place: Place) -> str:
    """The description as YAML: that of the platform as it should be, whatever defect is planted in it.

    No secrets: the users' password is in SANDBOX_PASSWORD.
    """
    document: Document = {
        "version": 1,
        "name": place.name,
        "scale": {"time": TIME_SCALE, "load": LOAD_SCALE},
        "shares_our_machine": place.shares_our_machine,
        "kubernetes": {"kubeconfig": str(place.kubeconfig), "context": place.context, "namespace": NAMESPACE},
        "gateway_url": f"http://{place.service('api-gateway')}",
        "users": {
            "count": USERS,
            "id_format": "user-{number:04d}",
            "login_path": "/api/v1/auth/login",
            "password_env": "SANDBOX_PASSWORD",
        },
        "content_id_format": "content-{number:05d}",
        "content_count": CONTENT_ITEMS,
        "routes": _routes(),
        "roles": _roles(place),
        "breakers": _breakers(place),
        "workloads": _workloads(),
        "calls": [_calls(service) for service in ("api-gateway", "discovery-service", "sona-service", "sync-service")],
        "fallbacks": [_counter(service, "fallbacks_total") for service in ("api-gateway", "discovery-service", "sync-service")],
        "delivery": {
            "origin": f"http://{place.service('pubnub')}",
            "subscribe_key": "sub-sandbox",
            "channel_format": "user.{user_id}.sync",
            "route": "watchlist",
        },
    }
    return yaml.safe_dump(document, sort_keys=False, width=120)


def _routes() -> Document:
    """The user-visible routes. p95 limits: 4.1, 4.2, 4.3, 2.1; 30 % of all calls carry a token (3.1)."""
    return {
        "search": {
            "method": "POST",
            "path": "/api/v1/search",
            "body": {"query": "{query}", "page": 1, "page_size": 20},
            "check": {"non_empty": "results", "equals": {"query_parsed.query": "{query}"}},
            "authenticated_ratio": 1 / 6,
            "maximum_ms": 600,
            "stale_after_s": Settings().search_last_s,
        },
        "recommendations": {
            "method": "POST",
            "path": "/api/v1/sona/recommendations",
            "body": {"user_id": "{user_id}", "limit": 20},
            "check": {"non_empty": "recommendations"},
            "authenticated_ratio": 0.5,
            "maximum_ms": 200,
        },
        "watchlist": {
            "method": "POST",
            "path": "/api/v1/sync/watchlist",
            "body": {"operation": "add", "content_id": "{content_id}", "device_id": "load", "operation_id": "{operation_id}"},
            "check": {"equals": {"operation_id": "{operation_id}"}},
            "authenticated_ratio": 1.0,
            "maximum_ms": 200,
        },
        "content": {
            "method": "GET",
            "path": "/api/v1/content/{content_id}",
            "check": {"equals": {"content.id": "{content_id}"}},
            "authenticated_ratio": 0.0,
            "maximum_ms": 100,
        },
    }


def _roles(place: Place) -> Document:
    toxiproxy = f"http://{place.service('toxiproxy')}"
    replica_links = {pod: next(link for link, service in LINKS.items() if service == pod) for pod in REPLICAS}
    return {
        "discovery": {
            "kind": "workload",
            "workload": "discovery-service",
            "exposure": _counter("discovery-service", "http_requests_total", path="/api/v1/search"),
        },
        "qdrant-link": {
            "kind": "link",
            "toxiproxy_url": toxiproxy,
            "proxy": "qdrant",
            **place.canary("qdrant", "/readyz"),
            "exposure": _counter("discovery-service", "calls_total", dependency="qdrant"),
        },
        "postgres-replica": {
            "kind": "postgres-replica",
            "statefulset": "postgresql-replica",
            "primary_dsn": database_url(place.service("postgresql")),
            "replica_dsns": {pod: database_url(place.service(pod)) for pod in REPLICAS},
            "toxiproxy_url": toxiproxy,
            "proxies": replica_links,
            **place.link_dsns(replica_links),
        },
        "redis": {"kind": "redis", "url": f"redis://{place.service('redis')}/0", "allow_flush": True},
        "pubnub-link": {
            "kind": "link",
            "toxiproxy_url": toxiproxy,
            "proxy": "pubnub",
            **place.canary("pubnub", "/time/0"),
            "exposure": _counter("sync-service", "calls_total", dependency="pubnub"),
        },
    }


def _breakers(place: Place) -> list[Document]:
    """Every breaker of the platform, in every replica; that of sync also by its metric, its log lines and its copy in Redis."""
    gateway = [
        _breaker(f"gateway->{name}", "api-gateway", f"/checks/{name}/circuit_breaker") for name in ("discovery", "sona", "sync", "auth")
    ]
    own = {"discovery->qdrant": "discovery-service", "sync->pubnub": "sync-service"}
    return [*gateway, *(_counting_breaker(name, workload) for name, workload in own.items()), *_beside_health(place)]


def _beside_health(place: Place) -> list[Document]:
    """What else sync tells of its breaker: every replica writes the same key."""
    name, workload = "sync->pubnub", "sync-service"
    line = r'"message":"circuit breaker changed state","breaker":"pubnub".*"to":"(?P<state>\w+)"'
    return [
        {"name": name, "kind": "metric", "workload": workload, "path": "/metrics", "metric": "circuit_breaker_state"}
        | {"labels": {"name": "pubnub"}},
        {"name": name, "kind": "log", "workload": workload, "pattern": line},
        {"name": name, "kind": "copy", "url": f"redis://{place.service('redis')}/0", "key": "circuit_breaker:pubnub:state"}
        | {"pointer": "/state"},
    ]


def _breaker(name: str, workload: str, pointer: str) -> Document:
    return {"name": name, "workload": workload, "kind": "health", "path": "/health", "pointer": pointer}


def _counting_breaker(name: str, workload: str) -> Document:
    """One whose service also counts its changes: that shows a change between two looks."""
    place = f"/circuit_breakers/{name.partition('->')[2]}"
    return _breaker(name, workload, f"{place}/state") | {"transitions_pointer": f"{place}/transitions"}


def _workloads() -> dict[str, str]:
    stateful = dict.fromkeys(("postgresql", "postgresql-replica", "redis", "qdrant", "pubnub"), "statefulsets")
    services = ("api-gateway", "discovery-service", "sona-service", "sync-service", "auth-service")
    return dict.fromkeys((*services, "toxiproxy"), "deployments") | stateful


def _calls(workload: str) -> Document:
    return _counter(workload, "calls_total")


def _counter(workload: str, metric: str, **labels: str) -> Document:
    return {"workload": workload, "metric": metric, "labels": labels}
