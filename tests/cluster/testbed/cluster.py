"""The cluster as a whole: up, down, a node that is cut off and comes back."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from testbed import certificates, machines, network
from testbed.api import Api
from testbed.images import fill_store
from testbed.layout import CONTROL, HERE, Folders, netns, node_names
from testbed.services import control_services, node_services
from testbed.shell import Word, run, step, wait_for

DNS = "/apis/apps/v1/namespaces/kube-system/deployments/coredns"
SYSTEM = "/api/v1/namespaces/kube-system"


def kubectl(folders: Folders, *words: Word) -> list[str]:
    """The command line of kubectl as administrator."""
    return [
        str(folders.binaries / "kube"),
        "kubectl",
        f"--kubeconfig={folders.admin}",
        f"--cache-dir={folders.pki}/cache",
        *map(str, words),
    ]


def up(folders: Folders, count: int, *, fast: bool) -> None:
    """Return when all nodes and the cluster's DNS are ready (11 s for three). Raises TestbedError."""
    nodes = node_names(count)
    for machine in (CONTROL, *nodes):
        (folders.machines / machine).mkdir(parents=True, exist_ok=True)
    port = machines.api_port(folders)
    with step("certificates, network"):
        certificates.issue(folders, nodes, port)
        network.join(nodes)
    for machine in (CONTROL, *nodes):
        services = control_services(folders, fast=fast) if machine == CONTROL else node_services(folders, machine, fast=fast)
        (folders.machines / machine / "services.json").write_text(json.dumps(services, indent=1), encoding="utf-8")
        machines.power_on(folders, machine)
    began, api = time.time(), Api(folders, port)
    with step("API server ready"):
        wait_for("the API server", lambda: api.get(SYSTEM))
    with step(f"{count} nodes ready"):
        wait_for(f"{count} ready nodes", lambda: api.ready_nodes(began) >= set(nodes))
    with step("cluster DNS ready"):
        run(kubectl(folders, "apply", "-f", HERE / "dns.yaml"), quiet=True)
        wait_for("the cluster's DNS", lambda: (api.get(DNS) or {}).get("status", {}).get("readyReplicas"))


def down(folders: Folders) -> None:
    """End everything, and leave nothing but binaries and images. Raises TestbedError."""
    there = [one.name for one in folders.machines.glob("*")]
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda machine: machines.cut(folders, machine), there))
    network.remove(there)
    forget(folders)


def forget(folders: Folders) -> None:
    """Remove what was written for this cluster, and the folder when nothing else is in it: CLUSTER_DIR may be anybody's."""
    for folder in (folders.machines, folders.pki):
        shutil.rmtree(folder, ignore_errors=True)
    (folders.home / machines.API_PORT_FILE).unlink(missing_ok=True)
    if folders.home.is_dir() and not any(folders.home.iterdir()):
        folders.home.rmdir()


def heal(folders: Folders, machine: str) -> None:
    """Plug the machine in, power it on, and return when it is ready. Raises TestbedError."""
    if machine != CONTROL:
        network.plug(machine, "up")
    machines.power_on(folders, machine)
    began, api = time.time(), Api(folders, machines.api_port(folders))
    wait_for(f"{machine} ready", lambda: api.get(SYSTEM) if machine == CONTROL else machine in api.ready_nodes(began))


def load(folders: Folders, archives: Sequence[Path]) -> None:
    """Import images into the store, with which nodes begin, and into every node that is on. Raises TestbedError."""
    for node in folders.nodes():
        if machines.holder(folders, node) is not None:
            for archive in archives:
                run(machines.entering(folders, node, "ctr", "--namespace=k8s.io", "images", "import", archive), quiet=True)
    fill_store(folders, folders.store, archives)


def status(folders: Folders) -> list[str]:
    """A line for each machine: on or off, ready, processes, memory."""
    ready = Api(folders, machines.api_port(folders)).ready_nodes()
    return [_line(folders, machine, ready) for machine in (CONTROL, *folders.nodes())]


def _line(folders: Folders, machine: str, ready: set[str]) -> str:
    pids = {int(pid) for group in (machines.CGROUPS / "pids").glob(netns(machine)) for pid in _members(group)}
    on = "on" if machines.holder(folders, machine) is not None else "off"
    state = "-" if machine == CONTROL else "ready" if machine in ready else "not ready"
    return f"{machine:8} {on:4} {state:10} {len(pids):4} processes {sum(map(_memory_kb, pids)) >> 10:6} MB"


def _members(group: Path) -> list[str]:
    return [pid for procs in group.rglob("cgroup.procs") for pid in procs.read_text(encoding="utf-8").split()]


def _memory_kb(pid: int) -> int:
    """Its share of memory; 0 for one that has just ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
