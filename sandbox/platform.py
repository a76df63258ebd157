"""The Media Gateway in small, as Kubernetes manifests: what a sandbox applies to its cluster."""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from sandbox.ports import LINKS, NAMESPACE, REPLICAS, SERVICES, Addresses
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
    """What the manifests of one sandbox depend on; the directories are on this machine."""

    addresses: Addresses
    settings: Settings
    jwt_secret: str
    postgres_programs: Path
    postgres_seed: Path
    volumes: Path

    def manifests(self) -> list[Manifest]:
        """Everything, in an order in which it can be applied."""
        pods = [*self._stores(), *(self._service(name) for name in SERVICES)]
        return [_namespace(), *self._networks(), *(_budget(name) for name in SERVICES), *(pod.manifest() for pod in pods)]

    def _networks(self) -> list[Manifest]:
        """A Service per component, and one per PostgreSQL replica, by which observers reach that replica directly."""
        named = [self._network(name, {"app": name}) for name in self.addresses.ports]
        replicas = [self._network(name, {"statefulset.kubernetes.io/pod-name": name}) for name in REPLICAS]
        return named + replicas

    def _network(self, name: str, selector: dict[str, str]) -> Manifest:
        address = self.addresses.service(name)
        port = {"name": _port_name(selector.get("app", "postgresql")), "port": address.port, "targetPort": address.port}
        spec = {"type": "ClusterIP", "clusterIP": address.host, "selector": selector, "ports": [port]}
        return _object("v1", "Service", name, spec, labels=_labels(selector.get("app", "postgresql-replica")))

    def _stores(self) -> list["Workload"]:
        seeded = {"POSTGRES_BIN": str(self.postgres_programs)}
        origin = self.addresses.service("postgresql")
        return [
            self._store(
                "postgresql",
                "sandbox.postgres primary",
                seeded | {"POSTGRES_SEED_DIR": str(self.postgres_seed), "VOLUME_DATA": str(self.volumes / "postgresql")},
                stateful=True,
            ),
            self._store(
                "postgresql-replica",
                "sandbox.postgres replica",
                seeded | {"PRIMARY_HOST": origin.host, "PRIMARY_PORT": str(origin.port)},
                stateful=True,
                replicas=len(REPLICAS),
                volumes=("data",),
            ),
            self._store("qdrant", "sandbox.qdrant", {"QDRANT_STORAGE": str(self.volumes / "qdrant")}, stateful=True),
            self._store("redis", "sandbox.valkey", stateful=True, volumes=("data",)),
            self._store("pubnub", "sandbox.pubnub", stateful=True),
            self._store("toxiproxy", "sandbox.toxiproxy", {"TOXIPROXY_CONFIG_JSON": self._links()}),
        ]

    def _store(self, name: str, module: str, environment: dict[str, str] | None = None, **options: Any) -> "Workload":
        probe = {"tcpSocket": {"port": self.addresses.ports[name]}}
        return Workload(
            name=name,
            command=[sys.executable, "-m", *module.split()],
            port=self.addresses.ports[name],
            readiness=probe,
            environment=environment or {},
            stop_s=_STORE_STOP_S,
            **options,
        )

    def _service(self, name: str) -> "Workload":
        return Workload(
            name=name,
            command=[sys.executable, "-m", "sandbox.services", _MODULES[name]],
            port=self.addresses.ports[name],
            readiness={"httpGet": {"path": "/health/ready", "port": "http"}},
            liveness={"httpGet": {"path": "/health", "port": "http"}},
            environment=self._dependencies() | self.settings.environment(),
            replicas=service_replicas(self.settings, name),
            stop_s=_STOP_S,
        )

    def _links(self) -> str:
        """Toxiproxy's first proxies; the services reach every dependency through one of them."""
        proxies = [
            {"name": link, "listen": str(self.addresses.link(link)), "upstream": str(self.addresses.store(service))}
            for link, service in LINKS.items()
        ]
        return orjson.dumps([proxy | {"enabled": True} for proxy in proxies]).decode()

    def _dependencies(self) -> dict[str, str]:
        link, service = self.addresses.link, self.addresses.service
        dsns = [database_url(str(link(name))) for name in LINKS if name.startswith("postgres-replica")]
        return {
            "REDIS_URL": f"redis://{link('redis')}/0",
            "QDRANT_URL": f"http://{link('qdrant')}",
            "PUBNUB_ORIGIN": f"http://{link('pubnub')}",
            "PUBNUB_PUBLISH_KEY": "pub-sandbox",
            "PUBNUB_SUBSCRIBE_KEY": "sub-sandbox",
            "POSTGRES_PRIMARY_DSN": database_url(str(link("postgres-primary"))),
            "POSTGRES_REPLICA_DSNS": ",".join(dsns),
            "JWT_SECRET": self.jwt_secret,
            **{f"{_MODULES[name].upper()}_URL": f"http://{service(name)}" for name in SERVICES if name != "api-gateway"},
        }


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
        return _object("apps/v1", "StatefulSet" if self.stateful else "Deployment", self.name, spec, _labels(self.name))

    def _pod_metadata(self) -> Manifest:
        scraped = {"prometheus.io/scrape": "true", "prometheus.io/port": str(self.port), "prometheus.io/path": "/metrics"}
        annotations = scraped if self.name in SERVICES else {}
        return {"labels": _labels(self.name) | {"version": "v1"}, "annotations": annotations}

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
            "ports": [{"name": _port_name(self.name), "containerPort": self.port}],
            "env": [*_identity(), *({"name": name, "value": value} for name, value in self.environment.items())],
            "readinessProbe": self.readiness | {"periodSeconds": 1, "timeoutSeconds": 1, "failureThreshold": 3},
            "volumeMounts": [{"name": name, "mountPath": f"/{name}"} for name in self.volumes],
        }
        if self.liveness is not None:
            container["livenessProbe"] = self.liveness | {"periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 3}
        return container


def service_replicas(settings: Settings, name: str) -> int:
    """How many pods of a service these settings want."""
    count: int = getattr(settings, f"{_MODULES[name]}_replicas")
    return count


def database_url(address: str) -> str:
    """The platform's database at `host:port`."""
    return f"postgresql://media@{address}/media_gateway"


def _identity() -> list[Manifest]:
    paths = {"POD_NAME": "metadata.name", "POD_NAMESPACE": "metadata.namespace", "POD_IP": "status.podIP"}
    return [{"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in paths.items()]


def _namespace() -> Manifest:
    labels = {"name": NAMESPACE, "chaos.media-gateway/enabled": "true"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}}


def _budget(name: str) -> Manifest:
    spec = {"minAvailable": 1, "selector": {"matchLabels": {"app": name}}}
    return _object("policy/v1", "PodDisruptionBudget", name, spec, _labels(name))


def _object(version: str, kind: str, name: str, spec: Manifest, labels: dict[str, str]) -> Manifest:
    metadata = {"name": name, "namespace": NAMESPACE, "labels": labels}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}


def _labels(name: str) -> dict[str, str]:
    return {
        "app": name,
        "app.kubernetes.io/name": name,
        "app.kubernetes.io/component": "service" if name in SERVICES else "data",
        "app.kubernetes.io/part-of": NAMESPACE,
    }


def _port_name(name: str) -> str:
    """The name of a component's port; Kubernetes allows 15 characters."""
    return {"redis": "redis", "postgresql": "postgresql", "postgresql-replica": "postgresql"}.get(name, "http")
