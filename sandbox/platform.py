"""The Media Gateway in small: its workloads, whatever cluster they run in, and as a sandbox applies them to its own."""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from sandbox.ports import LINKS, NAMESPACE, REPLICAS, SERVICES, Places
from sandbox.settings import Settings

Manifest = dict[str, Any]

_MODULES = {
    "api-gateway": "gateway",
    "discovery-service": "discovery",
    "sona-service": "sona",
    "sync-service": "sync",
    "auth-service": "auth",
}
_STOP_S = 5
_STORE_STOP_S = 2  # PostgreSQL lets its clients finish when it is told to stop, and theirs never do


@dataclass(frozen=True, slots=True)
class Platform:
    """What the workloads of one platform depend on.

    `seed` holds what the stores begin with. `volumes` is a directory that outlives the pods; None: each store has an emptyDir.
    `postgres_programs` None: those of the wheel. `jwt_secret` empty: the pods get it by another way.
    """

    addresses: Places
    settings: Settings
    seed: Path
    python: str = sys.executable
    volumes: Path | None = None
    postgres_programs: Path | None = None
    jwt_secret: str = ""

    def manifests(self) -> list[Manifest]:
        """Everything for a sandbox's cluster, in an order in which it can be applied."""
        pods = (workload.manifest() for workload in self.workloads())
        return [namespace(), *self._networks(), *(budget(name) for name in SERVICES), *pods]

    def workloads(self) -> list["Workload"]:
        """All of them, stores first."""
        return [*self._stores(), *(self._service(name) for name in SERVICES)]

    def dependencies(self) -> dict[str, str]:
        """The environment of every service."""
        link, service = self.addresses.link, self.addresses.service
        dsns = [database_url(str(link(name))) for name in LINKS if name.startswith("postgres-replica")]
        known = {
            "REDIS_URL": f"redis://{link('redis')}/0",
            "QDRANT_URL": f"http://{link('qdrant')}",
            "PUBNUB_ORIGIN": f"http://{link('pubnub')}",
            "PUBNUB_PUBLISH_KEY": "pub-sandbox",
            "PUBNUB_SUBSCRIBE_KEY": "sub-sandbox",
            "POSTGRES_PRIMARY_DSN": database_url(str(link("postgres-primary"))),
            "POSTGRES_REPLICA_DSNS": ",".join(dsns),
            **{f"{_MODULES[name].upper()}_URL": f"http://{service(name)}" for name in SERVICES if name != "api-gateway"},
        }
        secret = {"JWT_SECRET": self.jwt_secret} if self.jwt_secret else {}
        return known | secret | self.settings.environment()

    def links(self) -> list[Manifest]:
        """Toxiproxy's first proxies; the services reach every dependency through one of them."""
        listener, store = self.addresses.listener, self.addresses.store
        return [
            {"name": link, "listen": str(listener(link)), "upstream": str(store(service)), "enabled": True}
            for link, service in LINKS.items()
        ]

    def _networks(self) -> list[Manifest]:
        """A Service per component, and one per PostgreSQL replica, by which observers reach that replica directly."""
        return [self._network(name, selector) for name, selector in selectors(self.addresses).items()]

    def _network(self, name: str, selector: dict[str, str]) -> Manifest:
        address = self.addresses.service(name)
        port = {"name": port_name(selector.get("app", "postgresql")), "port": address.port, "targetPort": address.port}
        spec = {"type": "ClusterIP", "clusterIP": address.host, "selector": selector, "ports": [port]}
        return object_of("v1", "Service", name, spec, labels=labels_of(selector.get("app", "postgresql-replica")))

    def _stores(self) -> list["Workload"]:
        programs = {"POSTGRES_BIN": str(self.postgres_programs)} if self.postgres_programs else {}
        origin = self.addresses.service("postgresql")
        return [
            self._store(
                "postgresql",
                "sandbox.postgres primary",
                programs | {"POSTGRES_SEED_DIR": str(self.seed / "postgres")} | self._kept("VOLUME_DATA", "postgresql"),
                stateful=True,
                volumes=self._own("data"),
            ),
            self._store(
                "postgresql-replica",
                "sandbox.postgres replica",
                programs | {"PRIMARY_HOST": origin.host, "PRIMARY_PORT": str(origin.port)},
                stateful=True,
                replicas=len(REPLICAS),
                volumes=("data",),
            ),
            self._store(
                "qdrant",
                "sandbox.qdrant",
                {"QDRANT_STORAGE": "/data/storage", "QDRANT_SEED_DIR": str(self.seed / "qdrant")} | self._kept("QDRANT_STORAGE", "qdrant"),
                stateful=True,
                volumes=self._own("data"),
            ),
            self._store("redis", "sandbox.valkey", stateful=True, volumes=("data",)),
            self._store("pubnub", "sandbox.pubnub", stateful=True),
            self._store("toxiproxy", "sandbox.toxiproxy", {"TOXIPROXY_CONFIG_JSON": orjson.dumps(self.links()).decode()}),
        ]

    def _kept(self, variable: str, name: str) -> dict[str, str]:
        """Where a store's data outlives its pod."""
        return {} if self.volumes is None else {variable: str(self.volumes / name)}

    def _own(self, volume: str) -> tuple[str, ...]:
        """The store's emptyDir, where nothing outlives its pod."""
        return (volume,) if self.volumes is None else ()

    def _store(self, name: str, module: str, environment: dict[str, str] | None = None, **options: Any) -> "Workload":
        probe = {"tcpSocket": {"port": self.addresses.ports[name]}}
        return Workload(
            name=name,
            command=[self.python, "-m", *module.split()],
            port=self.addresses.ports[name],
            readiness=probe,
            environment=environment or {},
            stop_s=_STORE_STOP_S,
            **options,
        )

    def _service(self, name: str) -> "Workload":
        return Workload(
            name=name,
            command=[self.python, "-m", "sandbox.services", _MODULES[name]],
            port=self.addresses.ports[name],
            readiness={"httpGet": {"path": "/health/ready", "port": "http"}},
            liveness={"httpGet": {"path": "/health", "port": "http"}},
            environment=self.dependencies(),
            replicas=service_replicas(self.settings, name),
            stop_s=_STOP_S,
        )


@dataclass(frozen=True, slots=True)
class Workload:
    """A Deployment or, where `stateful`, a StatefulSet, with one container per pod; `volumes` are emptyDirs."""

    name: str
    command: list[str]
    port: int
    readiness: Manifest
    environment: dict[str, str]
    stop_s: int
    liveness: Manifest | None = None
    replicas: int = 1
    stateful: bool = False
    volumes: tuple[str, ...] = field(default=())

    def manifest(self) -> Manifest:
        """The object to apply."""
        spec: Manifest = {
            "replicas": self.replicas,
            "selector": {"matchLabels": {"app": self.name}},
            "template": {"metadata": self._pod_metadata(), "spec": self._pod_spec()},
        }
        if self.stateful:
            spec |= {"serviceName": self.name, "podManagementPolicy": "Parallel"}
        return object_of("apps/v1", "StatefulSet" if self.stateful else "Deployment", self.name, spec, labels_of(self.name))

    def _pod_metadata(self) -> Manifest:
        scraped = {"prometheus.io/scrape": "true", "prometheus.io/port": str(self.port), "prometheus.io/path": "/metrics"}
        annotations = {"annotations": scraped} if self.name in SERVICES else {}
        return {"labels": labels_of(self.name) | {"version": "v1"}} | annotations

    def _pod_spec(self) -> Manifest:
        return {
            "terminationGracePeriodSeconds": self.stop_s,
            "containers": [self._container()],
            "volumes": [{"name": name, "emptyDir": {}} for name in self.volumes],
        }

    def _container(self) -> Manifest:
        container: Manifest = {
            "name": self.name,
            "image": f"media-gateway-sandbox/{self.name}:v1",
            "command": self.command,
            "ports": [{"name": port_name(self.name), "containerPort": self.port}],
            "env": [*identity(), *({"name": name, "value": value} for name, value in self.environment.items())],
            "readinessProbe": self.readiness | {"periodSeconds": 1, "timeoutSeconds": 1, "failureThreshold": 3},
            "volumeMounts": [{"name": name, "mountPath": f"/{name}"} for name in self.volumes],
        }
        if self.liveness is not None:
            container["livenessProbe"] = self.liveness | {"periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 3}
        return container


def selectors(places: Places) -> dict[str, dict[str, str]]:
    """Each Service, by name, with the pods behind it: one per component, and one per PostgreSQL replica."""
    return {name: {"app": name} for name in places.ports} | {name: {"statefulset.kubernetes.io/pod-name": name} for name in REPLICAS}


def service_replicas(settings: Settings, name: str) -> int:
    """How many pods of a service these settings want."""
    count: int = getattr(settings, f"{_MODULES[name]}_replicas")
    return count


def database_url(address: str) -> str:
    """The platform's database at `host:port`."""
    return f"postgresql://media@{address}/media_gateway"


def identity() -> list[Manifest]:
    paths = {"POD_NAME": "metadata.name", "POD_NAMESPACE": "metadata.namespace", "POD_IP": "status.podIP"}
    return [{"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in paths.items()]


def namespace() -> Manifest:
    labels = {"name": NAMESPACE, "chaos.media-gateway/enabled": "true"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}}


def budget(name: str, *, at_least: int = 1) -> Manifest:
    spec = {"minAvailable": at_least, "selector": {"matchLabels": {"app": name}}}
    return object_of("policy/v1", "PodDisruptionBudget", name, spec, labels_of(name))


def object_of(version: str, kind: str, name: str, spec: Manifest, labels: dict[str, str]) -> Manifest:
    metadata = {"name": name, "namespace": NAMESPACE, "labels": labels}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}


def labels_of(name: str) -> dict[str, str]:
    return {
        "app": name,
        "app.kubernetes.io/name": name,
        "app.kubernetes.io/component": "service" if name in SERVICES else "data",
        "app.kubernetes.io/part-of": NAMESPACE,
    }


def port_name(name: str) -> str:
    """The name of a component's port; Kubernetes allows 15 characters."""
    return {"redis": "redis", "postgresql": "postgresql", "postgresql-replica": "postgresql"}.get(name, "http")
