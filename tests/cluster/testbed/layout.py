"""What runs in which version, at which address, and in which folder."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
KUBERNETES, ETCD, COREDNS, TOXIPROXY = "v1.35.4", "v3.6.5", "v1.13.1", "v2.12.0"
API_PORT = 6443
"""In the control machine's network namespace; on the host it is any free one."""
CONTROL, CONTROL_IP = "control", "10.99.0.1"
PODS, SERVICES, API_SERVICE_IP, DNS_IP = "10.244.0.0/16", "10.96.0.0/16", "10.96.0.1", "10.96.0.10"
REPLACED = ("/run", "/var/lib", "/var/log")
"""Folders that every machine has for itself."""


@dataclass(frozen=True, slots=True)
class Folders:
    """`home` is of the checkout: certificates and machines. `cache` outlives it: binaries and images, by version."""

    home: Path
    cache: Path

    @classmethod
    def of(cls, environment: dict[str, str]) -> Folders:
        """As CLUSTER_DIR and CLUSTER_CACHE say; else in the checkout, and in the user's cache."""
        root = Path(__file__).resolve().parents[3]
        home = Path(environment.get("CLUSTER_DIR") or root / ".cluster").resolve()
        base = Path(environment.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        cache = Path(environment.get("CLUSTER_CACHE") or base / "chaos-orchestrator" / "cluster").resolve()
        return cls(home, cache / cache_name())

    @property
    def binaries(self) -> Path:
        return self.cache / "bin"

    @property
    def images(self) -> Path:
        return self.cache / "images"

    @property
    def store(self) -> Path:
        """A containerd root with every image: a node's disk begins as hard links to it."""
        return self.cache / "store"

    @property
    def pki(self) -> Path:
        return self.home / "pki"

    @property
    def machines(self) -> Path:
        return self.home / "machines"

    @property
    def admin(self) -> Path:
        """The administrator's kubeconfig."""
        return self.pki / "admin.conf"

    def nodes(self) -> list[str]:
        """The nodes that are set up, in their order."""
        return sorted((one.name for one in self.machines.glob("node*")), key=number)


def cache_name() -> str:
    """Another version, or another main.go, is another folder."""
    source = "".join((HERE / "kube" / name).read_text(encoding="utf-8") for name in ("main.go", "go_module.py"))
    versions = "-".join((KUBERNETES, ETCD, COREDNS, TOXIPROXY))
    return f"{KUBERNETES}-{hashlib.sha256((versions + source).encode()).hexdigest()[:12]}"


def number(node: str) -> int:
    """1 of node1."""
    return int(node.removeprefix("node"))


def node_names(count: int) -> list[str]:
    return [f"node{place}" for place in range(1, count + 1)]


def node_ip(node: str) -> str:
    return f"10.99.0.{10 + number(node)}"


def pod_cidr(node: str) -> str:
    return f"10.244.{number(node)}.0/24"


def netns(machine: str) -> str:
    """The name of a machine's network namespace, and of its cgroups."""
    return f"kube-{machine}"


def folders() -> Folders:
    return Folders.of(dict(os.environ))
