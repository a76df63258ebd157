"""A process of the sandbox's own: dying with its parent, giving up root."""

import ctypes
import os
import pwd
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_ENDED = ("Z", "X")
"""States in /proc/<pid>/stat of a process that is only still listed."""
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Identity:
    """A user under whom a server runs that refuses to be root."""

    uid: int
    gid: int


def listening_host(environment: Mapping[str, str], otherwise: str = "") -> str:
    """Where a pod's server listens: LISTEN_HOST, else on the pod's own address, for the pods of a sandbox share a machine."""
    return environment.get("LISTEN_HOST") or environment.get("POD_IP") or otherwise


def die_with_parent() -> None:
    """Ask the kernel to kill this process when its parent dies; a change of uid forgets it, so call it again after one."""
    if _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")


def unprivileged() -> Identity | None:
    """`nobody` where we are root, None where we are not (then servers run as ourselves)."""
    if os.geteuid() != 0:
        return None
    nobody = pwd.getpwnam("nobody")
    return Identity(uid=nobody.pw_uid, gid=nobody.pw_gid)


def give_up_root(identity: Identity | None) -> None:
    """Become `identity` for good; everything that needs root or root's files must be done before."""
    if identity is None:
        return
    parent = os.getppid()
    os.setgroups([])
    os.setgid(identity.gid)
    os.setuid(identity.uid)
    die_with_parent()
    if os.getppid() != parent:  # it died before the kernel was asked to tell us
        raise SystemExit(1)


def start_ticks(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; None when it has ended or never was. Tells it from a later one."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The second field, the name in brackets, may hold spaces and brackets itself.
    state, *fields = text.rpartition(")")[2].split()
    return None if state in _ENDED else int(fields[18])
