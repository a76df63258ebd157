"""PID 1 of a machine: private folders, then the services, each started again when it ends."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

from testbed.api import Api
from testbed.layout import API_PORT, CONTROL, Folders, folders, netns
from testbed.machines import CGROUPS, LISTENER
from testbed.services import FORWARD
from testbed.shell import run, succeeds, wait_for

HOST_SYSCTLS = (
    *("vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops"),
    *("kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes"),
)
"""What a kubelet writes at its start. These are the host's own, so each machine gets a stand-in."""
BINDING = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/system:kube-controller-manager"
"""What is started after the API server ends at once when its permissions are not there yet."""
AGAIN_AFTER_S = 1.0


def main() -> None:
    machine = sys.argv[1]
    place = folders()
    home = place.machines / machine
    services: dict[str, list[str]] = json.loads((home / "services.json").read_text(encoding="utf-8"))
    for group in CGROUPS.glob(f"*/{netns(machine)}/cgroup.procs"):
        group.write_text("0", encoding="utf-8")
    socket.sethostname(machine)
    _furnish(place, machine, home)
    _serve(services, place)


def _furnish(place: Folders, machine: str, home: Path) -> None:
    """A /run, /var/lib and /var/log of its own, a disk with all images for a node, and stand-ins for the host's settings."""
    run(["mount", "-n", "-t", "tmpfs", "tmpfs", "/run"])
    run(["mount", "-n", "--make-rshared", "/"])
    for folder in ("lib", "log"):
        (home / folder).mkdir(exist_ok=True)
    if machine != CONTROL and not (home / "lib/containerd").exists():
        _disk(place.store, home / "lib/containerd")
    for folder in ("lib", "log"):
        run(["mount", "-n", "--bind", home / folder, f"/var/{folder}"])
    for key in HOST_SYSCTLS:
        stand_in = Path("/run/sysctl", key)
        stand_in.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(f"/proc/sys/{key}", stand_in)
        run(["mount", "-n", "--bind", stand_in, f"/proc/sys/{key}"])


def _disk(store: Path, disk: Path) -> None:
    """Hard links to the store, for layers never change, with real copies of the databases."""
    copied = subprocess.run(["cp", "-al", store, disk], check=False).returncode == 0
    if not copied:
        # The cache is on another file system.
        shutil.rmtree(disk, ignore_errors=True)
        run(["cp", "-a", store, disk])
    for database in store.glob("*/*.db"):
        copy = disk / database.relative_to(store)
        copy.unlink()
        shutil.copy2(database, copy)


def _serve(services: dict[str, list[str]], place: Folders) -> None:
    running: dict[int, str] = {}
    api = Api(place, API_PORT)
    for service, command in services.items():
        running[_launched(service, command)] = service
        if service == "containerd":
            wait_for(service, lambda: succeeds(["ctr", "version"]))
        if service == "apiserver":
            wait_for(service, lambda: api.get(BINDING))
    while True:
        # Also reaps what the containers' shims leave behind.
        pid, status = os.wait()
        if pid in running:
            service = running.pop(pid)
            print(f"{service} ended: {status}", flush=True)
            time.sleep(AGAIN_AFTER_S)
            running[_launched(service, services[service])] = service


def _launched(service: str, command: list[str]) -> int:
    descriptors = [int(os.environ[LISTENER])] if service == FORWARD else []
    with Path(f"/var/log/{service}.log").open("ab") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, pass_fds=descriptors).pid


if __name__ == "__main__":
    main()
