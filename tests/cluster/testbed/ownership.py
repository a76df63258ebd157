"""One cluster per machine: its addresses and namespaces have fixed names, so a second one would break the first."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from testbed.layout import CONTROL, Folders, netns
from testbed.machines import first_process
from testbed.network import NAMESPACES
from testbed.shell import LOOK_S, TestbedError

LOCK = Path("/tmp/chaos-testbed.lock")
PATIENCE_S = 150.0
"""A heal waits up to 120 s for its node, and another one may come meanwhile."""


@contextmanager
def only_one(folders: Folders) -> Iterator[None]:
    """Hold the lock while a cluster is changed. Raises TestbedError when others hold it for too long, or have a cluster."""
    # Everybody may write to its folder: a link that somebody put there is not followed.
    descriptor = os.open(LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        _lock(descriptor)
        # Empty when somebody has cleaned up /tmp.
        owner = os.read(descriptor, 4096).decode()
        if (NAMESPACES / netns(CONTROL)).exists() and owner not in ("", str(folders.home)) and Path(owner).is_dir():
            raise TestbedError(f"the cluster of {owner} is up on this machine: end it with CLUSTER_DIR={owner} make cluster-down")
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(folders.home).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not _locked(descriptor):
        if time.monotonic() > deadline:
            raise TestbedError(f"another command goes on changing a cluster on this machine after {PATIENCE_S:g} s: wait for it")
        time.sleep(LOOK_S)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def require_up(folders: Folders) -> None:
    """Raises TestbedError when this checkout's cluster is not up."""
    if first_process(folders, CONTROL) is None:
        raise TestbedError("the cluster is not up: make cluster")


def require_set_up(folders: Folders) -> None:
    """Raises TestbedError when this checkout has no cluster; the machines of one may be off."""
    if not folders.admin.exists():
        raise TestbedError("there is no cluster: make cluster")
