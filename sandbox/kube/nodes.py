"""What exists in a fresh cluster: four namespaces, two nodes and a role that may do everything."""

import os
import platform

from sandbox.kube.objects import Object, now
from sandbox.kube.registry import Registry
from sandbox.kube.resources import CLUSTER_ROLES, NAMESPACES, NODES, SERVICE_ACCOUNTS

VERSION = "v1.35.0"
_NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
_NODE_COUNT = 2


def node_address(prefix: str, number: int) -> str:
    """The address by which node 1, 2, ... is known; no process listens there."""
    return f"{prefix}.0.{10 + number}"


def bootstrap(registry: Registry, prefix: str) -> None:
    """Create them."""
    for name in _NAMESPACES:
        registry.create(NAMESPACES, "", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    everything = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}
    role = {"apiVersion": CLUSTER_ROLES.api_version, "kind": CLUSTER_ROLES.kind, "metadata": {"name": "cluster-admin"}}
    registry.create(CLUSTER_ROLES, "", {**role, "rules": [everything]})
    for number in range(1, _NODE_COUNT + 1):
        registry.create(NODES, "", _node(f"sandbox-node-{number}", node_address(prefix, number)))


def service_account(namespace: str) -> Object:
    """The account that every namespace has."""
    metadata = {"name": "default", "namespace": namespace}
    return {"apiVersion": SERVICE_ACCOUNTS.api_version, "kind": SERVICE_ACCOUNTS.kind, "metadata": metadata}


def _node(name: str, address: str) -> Object:
    labels = {
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64" if platform.machine() == "x86_64" else "arm64",
    }
    capacity = {"cpu": str(os.cpu_count() or 1), "memory": _memory(), "pods": "110"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "spec": {},
        "status": {
            "capacity": capacity,
            "allocatable": capacity,
            "conditions": [_condition(*row) for row in _CONDITIONS],
            "addresses": [{"type": "InternalIP", "address": address}, {"type": "Hostname", "address": name}],
            "nodeInfo": _node_info(labels["kubernetes.io/arch"]),
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 0}},
        },
    }


_CONDITIONS = (
    ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
)


def _condition(kind: str, status: str, reason: str, message: str) -> Object:
    instant = now()
    times = {"lastHeartbeatTime": instant, "lastTransitionTime": instant}
    return {"type": kind, "status": status, "reason": reason, "message": message, **times}


def _memory() -> str:
    return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') // 1024}Ki"


def _node_info(architecture: str) -> dict[str, str]:
    return {
        "architecture": architecture,
        "operatingSystem": "linux",
        "osImage": "local processes",
        "kernelVersion": platform.release(),
        "containerRuntimeVersion": "process://1",
        "kubeletVersion": VERSION,
        "kubeProxyVersion": VERSION,
        "machineID": "",
        "systemUUID": "",
        "bootID": "",
    }
