"""The platform for a real cluster, as the files below `manifests/platform`: the same workloads, in containers, under its rules."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import yaml

from sandbox.in_cluster import LINK_PORTS, ClusterAddresses
from sandbox.platform import (
    Manifest,
    Platform,
    Workload,
    budget,
    identity,
    labels_of,
    namespace,
    object_of,
    port_name,
    selectors,
)
from sandbox.ports import REPLICAS, SERVICES
from sandbox.settings import Settings

SEED = Path("/opt/seed")
"""Where the image `platform` has what the stores begin with."""
UID = 10001
"""The image has a passwd entry for it: PostgreSQL asks who it is."""
DEPENDENCIES, SECRET, ACCESS, PROXIES = "platform-dependencies", "platform-secret", "postgresql-access", "toxiproxy-proxies"
"""Names that the kustomization gives to what it makes of services.env, of a literal, of pg_hba.conf and of proxies.json."""
HEAD = "# Written by `python -m sandbox manifests`. To change something for your cluster, patch it in an overlay.\n"

_START_PATIENCE_S = 120  # a replica waits up to 60 s for its primary
# Source: memory that each used on the test cluster after its start (43 to 58 MB a service, 107 MB the primary and 194 MB the
# vector server with their files in memory, 24 MB PubNub's stand-in, 13 MB Toxiproxy, 3 MB Valkey), and as much again.
_NEEDS = {
    "api-gateway": ("100m", "128Mi", "512Mi"),
    "discovery-service": ("200m", "128Mi", "512Mi"),
    "sona-service": ("100m", "128Mi", "512Mi"),
    "sync-service": ("100m", "128Mi", "512Mi"),
    "auth-service": ("50m", "128Mi", "512Mi"),
    "postgresql": ("100m", "128Mi", "512Mi"),
    "postgresql-replica": ("50m", "128Mi", "512Mi"),
    "qdrant": ("100m", "256Mi", "1Gi"),
    "redis": ("50m", "32Mi", "256Mi"),
    "pubnub": ("50m", "64Mi", "256Mi"),
    "toxiproxy": ("50m", "32Mi", "256Mi"),
}
"""CPU and memory that a pod asks for, and memory at which it is ended. No limit on CPU: throttling looks like a fault."""


def files(settings: Settings) -> dict[str, str]:
    """The content of each file, by its name."""
    platform = Platform(ClusterAddresses(), settings, SEED, python="python")
    variables = "".join(f"{name}={value}\n" for name, value in platform.dependencies().items())
    proxies = orjson.dumps(platform.links(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode()
    components = {f"{workload.name}.yaml": _text(Component(workload).manifests()) for workload in platform.workloads()}
    return components | {"namespace.yaml": _text([_namespace()]), "services.env": HEAD + variables, "proxies.json": proxies}


def write(directory: Path, settings: Settings) -> list[Path]:
    """Write them; returns their paths."""
    written = []
    for name, content in files(settings).items():
        path = directory / name
        path.write_text(content, encoding="utf-8")
        written.append(path)
    return written


@dataclass(frozen=True, slots=True)
class Component:
    """One workload with its Services and its budget."""

    workload: Workload

    def manifests(self) -> list[Manifest]:
        """In the order in which a reader meets them: Services, budget, pods."""
        name = self.workload.name
        found = [self._service(one, selector) for one, selector in selectors(ClusterAddresses()).items() if one in self._networks()]
        if name in SERVICES:
            found.append(budget(name))
        elif self.workload.replicas > 1:
            found.append(budget(name, at_least=self.workload.replicas - 1))
        return [*found, self._workload()]

    def _networks(self) -> tuple[str, ...]:
        name = self.workload.name
        return (name, *REPLICAS) if name == "postgresql-replica" else (name,)

    def _service(self, name: str, selector: dict[str, str]) -> Manifest:
        # Numbers: a fault that turns the selector to a proxy's pod finds no such name there.
        ports = [{"name": one, "port": number, "targetPort": number} for one, number in self._ports().items()]
        spec = {"type": "ClusterIP", "sessionAffinity": "None", "selector": selector, "ports": ports}
        return object_of("v1", "Service", name, spec, labels_of(self.workload.name))

    def _ports(self) -> dict[str, int]:
        name = self.workload.name
        links = LINK_PORTS if name == "toxiproxy" else {}
        return {port_name(name): self.workload.port} | {_short(link): number for link, number in links.items()}

    def _workload(self) -> Manifest:
        manifest = self.workload.manifest()
        spec = manifest["spec"]["template"]["spec"]
        spec["containers"] = [self._container(spec["containers"][0])]
        spec["volumes"] = self._volumes()
        manifest["spec"]["template"]["spec"] = self._pod() | spec
        return manifest

    def _pod(self) -> Manifest:
        person = {"runAsNonRoot": True, "runAsUser": UID, "runAsGroup": UID, "fsGroup": UID, "seccompProfile": {"type": "RuntimeDefault"}}
        apart = {
            "maxSkew": 1,
            "topologyKey": "kubernetes.io/hostname",
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": {"app": self.workload.name}},
        }
        several = {"topologySpreadConstraints": [apart]} if self.workload.replicas > 1 else {}
        return {"automountServiceAccountToken": False, "enableServiceLinks": False, "securityContext": person} | several

    def _container(self, container: Manifest) -> Manifest:
        cpu, memory, at_most = _NEEDS[self.workload.name]
        listens = self.workload.liveness or {"tcpSocket": {"port": self.workload.port}}
        hardened = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
        return {
            "name": self.workload.name,
            **self._program(container["command"]),
            "ports": [{"name": name, "containerPort": number} for name, number in self._ports().items()],
            "startupProbe": listens | {"periodSeconds": 1, "timeoutSeconds": 1, "failureThreshold": _START_PATIENCE_S},
            "readinessProbe": container["readinessProbe"],
            "livenessProbe": (self._follows() or listens) | {"periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 3},
            "resources": {"requests": {"cpu": cpu, "memory": memory}, "limits": {"memory": at_most}},
            "securityContext": hardened,
            "volumeMounts": self._mounts(),
        }

    def _follows(self) -> Manifest | None:
        """A replica whose primary was lost with its data is started again, and then copies the new one."""
        if self.workload.name != "postgresql-replica":
            return None
        return {"exec": {"command": [*self.workload.command[:-1], "follows"]}}

    def _program(self, command: list[str]) -> Manifest:
        """Image, command and environment. Toxiproxy is the real one; everything else is of the image `platform`."""
        local = {"imagePullPolicy": "IfNotPresent"}
        if self.workload.name == "toxiproxy":
            command = ["toxiproxy", "-host=0.0.0.0", f"-port={self.workload.port}", "-config=/etc/toxiproxy/proxies.json", "-proxy-metrics"]
            return {"image": "toxiproxy:local"} | local | {"command": command}
        program = {"image": "platform:local"} | local | {"command": command, "env": [*identity(), *self._environment()]}
        if self.workload.name in SERVICES:
            program["envFrom"] = [{"configMapRef": {"name": DEPENDENCIES}}]
        return program

    def _environment(self) -> list[Manifest]:
        # In a pod of its own a server listens on every address, so that `kubectl port-forward` reaches it too.
        plain = {"LISTEN_HOST": "0.0.0.0", "PORT": str(self.workload.port)}
        plain |= {f"VOLUME_{volume.upper()}": f"/{volume}" for volume in self.workload.volumes}
        if self.workload.name.startswith("postgresql"):
            plain["POSTGRES_HBA_FILE"] = "/etc/postgresql/pg_hba.conf"
        if self.workload.name in SERVICES:
            secret = {"name": "JWT_SECRET", "valueFrom": {"secretKeyRef": {"name": SECRET, "key": "JWT_SECRET"}}}
            return [*_values(plain), secret]
        return _values(plain | self.workload.environment)

    def _files(self) -> dict[str, str]:
        """ConfigMaps that are mounted: name to directory."""
        if self.workload.name == "toxiproxy":
            return {PROXIES: "/etc/toxiproxy"}
        return {ACCESS: "/etc/postgresql"} if self.workload.name.startswith("postgresql") else {}

    def _volumes(self) -> list[Manifest]:
        read = [{"name": name, "configMap": {"name": name}} for name in self._files()]
        return [*({"name": name, "emptyDir": {}} for name in (*self.workload.volumes, "tmp")), *read]

    def _mounts(self) -> list[Manifest]:
        read = [{"name": name, "mountPath": path, "readOnly": True} for name, path in self._files().items()]
        return [*({"name": name, "mountPath": f"/{name}"} for name in (*self.workload.volumes, "tmp")), *read]


class _Dumper(yaml.SafeDumper):
    """Says twice what is there twice: people read it."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _namespace() -> Manifest:
    """The owner's consent to chaos, and the strictest rules for its pods."""
    manifest = namespace()
    manifest["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] = "restricted"
    return manifest


def _short(link: str) -> str:
    """A link as the name of a port, of which Kubernetes allows 15 characters."""
    return f"to-{link.replace('postgres', 'pg')}"


def _values(variables: dict[str, str]) -> list[Manifest]:
    return [{"name": name, "value": value} for name, value in variables.items()]


def _text(manifests: list[Manifest]) -> str:
    return HEAD + yaml.dump_all(manifests, Dumper=_Dumper, sort_keys=False, width=120)
