"""What the machine must have before a cluster can be built and started: said in one sentence each."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from testbed.layout import REPLACED, Folders

PACKAGES = {
    "containerd": "containerd",
    "runc": "runc",
    "iptables": "iptables",
    "conntrack": "conntrack",
    "ip": "iproute2",
    "busybox": "busybox-static",
    "redis-server": "redis-server",
    "openssl": "openssl",
    "nsenter": "util-linux",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
}
"""Command or file, and the Debian package that has it."""
CGROUP_V1 = Path("/sys/fs/cgroup/cpuset/cpuset.cpus")


def missing(folders: Folders) -> list[str]:
    """A sentence for each thing that is not there; empty when a cluster can be built and started."""
    found = []
    if os.geteuid() != 0:
        found.append("it needs root: namespaces, cgroups and mounts are made")
    if not CGROUP_V1.exists():
        found.append(f"it needs the cgroup v1 hierarchies below {CGROUP_V1.parents[1]}")
    if shutil.which("go") is None and not (folders.binaries / "kube").exists():
        found.append("it needs Go 1.25 or newer, to build Kubernetes from its modules")
    packages = sorted({package for command, package in PACKAGES.items() if not _is_there(command)})
    if packages:
        found.append(f"packages are missing: apt-get install --no-install-recommends {' '.join(packages)}")
    for folder in REPLACED:
        if folders.home.is_relative_to(folder) or folders.cache.is_relative_to(folder):
            found.append(f"CLUSTER_DIR and CLUSTER_CACHE must not lie below {folder}, which every machine replaces by its own")
    return found


def _is_there(command: str) -> bool:
    return Path(command).exists() if command.startswith("/") else shutil.which(command) is not None
