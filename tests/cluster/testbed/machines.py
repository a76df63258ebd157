"""Machines as processes: powered on, entered, cut off."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from testbed.layout import CONTROL, HERE, Folders, netns
from testbed.shell import Word, wait_for

CGROUPS = Path("/sys/fs/cgroup")
NAMESPACES = ("--mount", "--pid", "--uts", "--ipc")
LISTENER = "TESTBED_LISTENER"
"""Environment variable with the descriptor of the API server's port on the host."""
MODULE = "testbed.first_process"
API_PORT_FILE = "api-port"


def power_on(folders: Folders, machine: str) -> None:
    """Start its PID 1, unless it lives; it starts the services that its folder names."""
    if holder(folders, machine) is not None:
        return
    _make_cgroups(machine)
    into = ["nsenter", f"--net=/run/netns/{netns(machine)}", "unshare", *NAMESPACES, "--fork", "--kill-child", "--mount-proc"]
    env = {**os.environ, "PYTHONPATH": str(HERE.parent), "CLUSTER_DIR": str(folders.home), "CLUSTER_CACHE": str(folders.cache.parent)}
    home = folders.machines / machine
    with _api_socket(folders, machine) as descriptors, (home / "boot.log").open("ab") as log:
        if descriptors:
            env[LISTENER] = str(descriptors[0])
        process = subprocess.Popen(
            [*into, sys.executable, "-m", MODULE, machine],
            cwd="/",
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=descriptors,
            start_new_session=True,
        )
    (home / "pid").write_text(str(process.pid), encoding="utf-8")


@contextmanager
def _api_socket(folders: Folders, machine: str) -> Iterator[Sequence[int]]:
    """For the control machine a socket on the host's loopback: it stays in the namespace in which it was made."""
    if machine != CONTROL:
        yield ()
        return
    with socket.create_server(("127.0.0.1", api_port(folders)), backlog=128) as listener:
        yield (listener.fileno(),)


def api_port(folders: Folders) -> int:
    """The host's port of the API server: chosen once for a cluster, since its kubeconfig names it."""
    path = folders.home / API_PORT_FILE
    if not path.exists():
        with socket.create_server(("127.0.0.1", 0)) as probe:
            path.write_text(str(probe.getsockname()[1]), encoding="utf-8")
    return int(path.read_text(encoding="utf-8"))


def cut(folders: Folders, machine: str) -> None:
    """A power cut: the kernel ends every process of the machine's PID namespace with its first. Raises TestbedError."""
    pids = [pid for pid in (holder(folders, machine), first_process(folders, machine)) if pid is not None]
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait_for(f"the end of {machine}", lambda: not any(map(alive, pids)))
    # Else the next kubelet spends 3 s on each container of the past.
    for group in CGROUPS.glob(f"*/{netns(machine)}"):
        for folder, _, _ in os.walk(group, topdown=False):
            os.rmdir(folder)


def holder(folders: Folders, machine: str) -> int | None:
    """The process outside that holds the machine's PID 1: with it the whole machine ends. None when it is off."""
    try:
        pid = int((folders.machines / machine / "pid").read_text(encoding="utf-8"))
        words = Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8").split("\0")
    except (OSError, ValueError):
        return None
    return pid if words[-3:-1] == [MODULE, machine] else None


def first_process(folders: Folders, machine: str) -> int | None:
    """The machine's PID 1, as the host numbers it."""
    pid = holder(folders, machine)
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split() if pid else []
    return int(children[0]) if children else None


def entering(folders: Folders, machine: str, *command: Word) -> list[str]:
    """The command line that runs a command inside the machine: its network, processes and folders."""
    into = ["nsenter", f"--target={first_process(folders, machine)}", "--mount", "--pid", "--net", "--uts", "--ipc"]
    return [*into, *map(str, command)]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def _make_cgroups(machine: str) -> None:
    for group in CGROUPS.iterdir():
        if (group / "cgroup.procs").exists() and group.name != "unified":
            (group / netns(machine)).mkdir(exist_ok=True)
    for key in ("cpuset.cpus", "cpuset.mems"):
        ours = CGROUPS / "cpuset" / netns(machine) / key
        ours.write_text((CGROUPS / "cpuset" / key).read_text(encoding="utf-8"), encoding="utf-8")
