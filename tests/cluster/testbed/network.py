"""A network namespace for each machine, joined by a bridge inside the control machine's, with plain routes to each node's pods."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from testbed.layout import CONTROL, CONTROL_IP, SERVICES, netns, node_ip, pod_cidr
from testbed.shell import output, run

NAMESPACES = Path("/run/netns")
BRIDGE = "kube0"


def join(nodes: Sequence[str]) -> None:
    """Make what is not there yet, and plug every node in. Raises TestbedError."""
    there = {line.split()[0] for line in output(["ip", "netns", "list"]).splitlines()}
    for machine in (CONTROL, *nodes):
        if netns(machine) not in there:
            run(["ip", "netns", "add", netns(machine)])
            _ip(machine, "link set lo up")
            _bridge() if machine == CONTROL else _cable(machine)
    for node in nodes:
        plug(node, "up")
    for machine in (CONTROL, *nodes):
        for other in nodes:
            if other != machine:
                _ip(machine, f"route replace {pod_cidr(other)} via {node_ip(other)}")


def plug(node: str, state: str) -> None:
    """Set the node's link `up` or `down`."""
    _ip(CONTROL, f"link set {node} {state}")


def remove(machines: Sequence[str]) -> None:
    """Take the namespaces away, and the folder that `ip netns add` mounted on itself when nobody else uses it."""
    for machine in machines:
        if (NAMESPACES / netns(machine)).exists():
            run(["ip", "netns", "del", netns(machine)])
    if NAMESPACES.is_dir() and not os.listdir(NAMESPACES):
        while f" {NAMESPACES} " in Path("/proc/mounts").read_text(encoding="utf-8"):
            run(["umount", "-n", NAMESPACES])
        NAMESPACES.rmdir()


def _bridge() -> None:
    _ip(CONTROL, f"link add {BRIDGE} type bridge")
    _ip(CONTROL, f"addr add {CONTROL_IP}/24 dev {BRIDGE}")
    _ip(CONTROL, f"link set {BRIDGE} up")


def _cable(node: str) -> None:
    _ip(CONTROL, f"link add {node} type veth peer name eth0 netns {netns(node)}")
    _ip(CONTROL, f"link set {node} master {BRIDGE}")
    _ip(node, f"addr add {node_ip(node)}/24 dev eth0")
    _ip(node, "link set eth0 up")
    # So that the node itself may reach services: kube-proxy redirects on the way out.
    _ip(node, f"route add {SERVICES} dev eth0")
    for key in ("ipv4/ip_forward", "bridge/bridge-nf-call-iptables"):
        run(["nsenter", f"--net={NAMESPACES / netns(node)}", "sh", "-c", f"echo 1 > /proc/sys/net/{key}"])


def _ip(machine: str, words: str) -> None:
    run(["ip", "-n", netns(machine), *words.split()])
