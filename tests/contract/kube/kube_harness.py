"""Starts a cluster in a process of its own and helps to wait for what should happen in it."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

RUNNER = Path(__file__).with_name("kube_runner.py")
KUBECTL = Path(sys.executable).with_name("kubectl")


def free_port() -> int:
    """A port that no process on this machine has bound."""
    with socket.socket() as probe:
        probe.bind(("0.0.0.0", 0))
        return int(probe.getsockname()[1])


def wait_for(what: Callable[[], T], deadline_s: float = 60.0) -> T:
    """Call until the result is true; the result."""
    deadline = time.monotonic() + deadline_s
    while not (result := what()):
        assert time.monotonic() < deadline, f"not within {deadline_s} s: {what}"
        time.sleep(0.02)
    return result


def kubectl(kubeconfig: Path, *arguments: str, code: int = 0) -> str:
    """Run kubectl; its output. `code` is the exit code that is expected."""
    environment = {"PATH": os.environ["PATH"], "KUBECONFIG": str(kubeconfig), "HOME": str(kubeconfig.parent)}
    run = subprocess.run([str(KUBECTL), *arguments], env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == code, run.stdout + run.stderr
    return run.stdout if code == 0 else run.stdout + run.stderr


def running(pid: int) -> bool:
    """Whether the process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except (FileNotFoundError, ProcessLookupError):
        return False


@dataclass
class RunningCluster:
    """A cluster, its ports by application, and the process that runs it."""

    process: "subprocess.Popen[str]"
    state_dir: Path
    prefix: str
    facts: dict[str, Any]

    @property
    def kubeconfig(self) -> str:
        return str(self.facts["kubeconfig"])

    def stop(self, number: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(10)


def start(state_dir: Path, objects: list[dict[str, Any]]) -> RunningCluster:
    """Start a cluster and wait until its workloads are ready."""
    prefix = f"127.{random.randint(64, 250)}"
    process = subprocess.Popen(
        [sys.executable, str(RUNNER), str(state_dir), prefix],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(objects))
    process.stdin.close()
    line = process.stdout.readline()
    process.stdout.close()
    assert line, f"the cluster did not start: exit code {process.wait(10)}"
    return RunningCluster(process, state_dir, prefix, json.loads(line))
