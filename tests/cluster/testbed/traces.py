"""What a cluster could leave on the machine: namespaces, mounts, links, firewall rules, cgroups, settings, processes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from testbed.first_process import HOST_SYSCTLS
from testbed.machines import CGROUPS, MODULE
from testbed.shell import output

KINDS_OF_NAMESPACE = ("net", "mnt", "pid", "uts", "ipc")
TABLES = ("filter", "nat", "mangle", "raw")


def traces() -> set[str]:
    """A line for each: equal before `up` and after `down`, unless somebody else mounts or links something meanwhile. Needs root."""
    return {*_namespaces(), *_mounts(), *_links(), *_rules(), *_cgroups(), *_settings(), *_processes()}


def _namespaces() -> Iterator[str]:
    """Those of this process, and those in which one of our processes lives."""
    for pid in map(str, _pids()):
        if _is_ours(pid) or pid == str(os.getpid()):
            for kind in KINDS_OF_NAMESPACE:
                with suppress(OSError):
                    yield f"namespace {os.readlink(f'/proc/{pid}/ns/{kind}')}"
    for line in output(["ip", "netns", "list"]).splitlines():
        yield f"named network namespace {line.split()[0]}"


def _mounts() -> Iterator[str]:
    for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines():
        yield f"mount {line}"


def _links() -> Iterator[str]:
    for name in os.listdir("/sys/class/net"):
        yield f"link {name}"
    for line in output(["ip", "route", "show", "table", "all"]).splitlines():
        yield f"route {line}"


def _rules() -> Iterator[str]:
    for table in TABLES:
        for line in output(["iptables", "-t", table, "-S"]).splitlines():
            yield f"firewall {table} {line}"


def _cgroups() -> Iterator[str]:
    for group in CGROUPS.glob("*/kube-*"):
        yield f"cgroup {group}"


def _settings() -> Iterator[str]:
    for key in HOST_SYSCTLS:
        yield f"setting {key}={Path('/proc/sys', key).read_text(encoding='utf-8').strip()}"


def _processes() -> Iterator[str]:
    for pid in map(str, _pids()):
        if _is_ours(pid):
            yield f"process {pid} {_said(pid, 'comm').strip()}"


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _is_ours(pid: str) -> bool:
    """Whatever a machine runs is in its cgroups; the process outside that holds it names its module."""
    return "/kube-" in _said(pid, "cgroup") or MODULE in _said(pid, "cmdline").split("\0")


def _said(pid: str, file: str) -> str:
    try:
        return Path("/proc", pid, file).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
