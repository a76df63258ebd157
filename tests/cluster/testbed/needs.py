"""What the machine must have before a cluster can be built and started: said in one sentence each, and installed where that can be done."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from testbed.layout import REPLACED, Folders
from testbed.shell import TestbedError, run

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
MACHINE = "x86_64"
POLICY = Path("/usr/sbin/policy-rc.d")
CGROUP_V1 = Path("/sys/fs/cgroup/cpuset/cpuset.cpus")


def missing(folders: Folders) -> list[str]:
    """A sentence for each thing that is not there; empty when a cluster can be built and started."""
    found = []
    if os.geteuid() != 0:
        found.append("it needs root: namespaces, cgroups and mounts are made")
    if platform.machine() != MACHINE:
        found.append(f"it needs an {MACHINE} machine: the images take this machine's libraries from their places there")
    if not CGROUP_V1.exists():
        found.append(f"it needs the cgroup v1 hierarchies below {CGROUP_V1.parents[1]}")
    if shutil.which("go") is None and not (folders.binaries / "kube").exists():
        found.append("it needs Go 1.25 or newer, to build Kubernetes from its modules")
    if packages := missing_packages():
        found.append(f"packages are missing: apt-get install --no-install-recommends {' '.join(packages)}")
    for folder in REPLACED:
        if folders.home.is_relative_to(folder) or folders.cache.is_relative_to(folder):
            found.append(f"CLUSTER_DIR and CLUSTER_CACHE must not lie below {folder}, which every machine replaces by its own")
    return found


def missing_packages() -> list[str]:
    """Debian packages whose command or file is not there."""
    return sorted({package for command, package in PACKAGES.items() if not _is_there(command)})


def install() -> None:
    """Install the packages that are missing; none of their services is started. Raises TestbedError."""
    if not (packages := missing_packages()):
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise TestbedError(f"packages are missing, and only root with apt-get can install them: {' '.join(packages)}")
    with _no_service_starts():
        run(["apt-get", "update", "-qq"])
        run(
            ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages],
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        )


@contextmanager
def _no_service_starts() -> Iterator[None]:
    """Debian asks this file before it starts a service of a new package. One that is there already is somebody else's, and stays."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n", encoding="utf-8")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink()


def _is_there(command: str) -> bool:
    return Path(command).exists() if command.startswith("/") else shutil.which(command) is not None
