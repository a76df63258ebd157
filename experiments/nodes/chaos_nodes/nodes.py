"""What the API server says about nodes and about who stands on them. Looks only."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.errors import TargetError
from orchestrator.faults.counters import counted
from probes.clients.kube import KubeReader
from probes.clients.pods import Json, Pod, pod_of
from probes.clients.unreachable import Unreachable
from probes.clock import Clock
from probes.target import Kubernetes, MetricSource

CONTROL = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")
"""Labels of nodes that carry the cluster itself. Source: Kubernetes, Well-known labels."""
OUR_LABELS, OURS = ("app.kubernetes.io/name", "app.kubernetes.io/managed-by"), "chaos-orchestrator"
"""The pods of orchestrators and of their load carry one of these labels with this value."""
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
LOOK_S = 2.0


@dataclass(frozen=True, slots=True)
class Node:
    """A node as the API server shows it. `is_our_machine`: this process runs on it."""

    name: str
    ready: bool
    is_control: bool
    is_our_machine: bool


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A pod of any namespace on a node. `is_ours`: an orchestrator's, or its load's."""

    name: str
    is_ours: bool


class Nodes:
    """The nodes of one cluster. Every call raises TargetError within its time-out."""

    def __init__(self, target: Kubernetes, clock: Clock) -> None:
        self._kube = KubeReader(target, clock, threads=8)
        self._pods = f"/api/v1/namespaces/{target.namespace}/pods"

    def close(self) -> None:
        self._kube.close()

    async def all(self) -> list[Node]:
        return [_node(one) for one in (await self._get("/api/v1/nodes")).get("items") or ()]

    async def is_ready(self, name: str) -> bool:
        return _node(await self._get(f"/api/v1/nodes/{name}")).ready

    async def renewed(self, name: str) -> str:
        """When the node's kubelet renewed its lease last, by its own clock; only whether it changes means anything here."""
        lease = await self._get(f"{LEASES}/{name}")
        return str((lease.get("spec") or {}).get("renewTime", ""))

    async def under(self, resource: str, workload: str) -> dict[str, list[Pod]]:
        """The workload's ready pods by the node that they stand on; both in the order of their names."""
        try:
            selector = (await self._kube.workload(resource, workload)).selector
        except Unreachable as error:
            raise TargetError(str(error)) from error
        listed = await self._get(self._pods, {"labelSelector": selector.query()})
        placed = [(str(one["spec"].get("nodeName") or ""), pod_of(one)) for one in listed.get("items") or ()]
        found: dict[str, list[Pod]] = {}
        for node, pod in sorted(placed, key=lambda one: (one[0], one[1].name)):
            if node and pod.ready:
                found.setdefault(node, []).append(pod)
        return found

    async def neighbours(self, node: str) -> list[Neighbour]:
        """Every pod on the node that is not over."""
        listed = await self._get("/api/v1/pods", {"fieldSelector": f"spec.nodeName={node}"})
        alive = [one for one in listed.get("items") or () if (one.get("status") or {}).get("phase") not in ("Succeeded", "Failed")]
        return [_neighbour(one["metadata"]) for one in alive]

    async def count(self, pods: list[Pod], source: MetricSource) -> int:
        return await counted(self._kube, pods, source)

    async def answers(self, pod: str, port: int, path: str) -> bool:
        """Whether this pod answers a GET that comes through the API server."""
        try:
            return (await self._kube.pod_get(pod, port, path)).status == 200
        except Unreachable:
            return False

    async def _get(self, path: str, query: Mapping[str, str] | None = None) -> Json:
        try:
            return await self._kube.get(path, query, timeout_s=LOOK_S)
        except Unreachable as error:
            raise TargetError(str(error)) from error


def _node(document: Json) -> Node:
    labels: Mapping[str, Any] = document["metadata"].get("labels") or {}
    conditions = {one["type"]: one["status"] for one in (document.get("status") or {}).get("conditions") or ()}
    name = str(document["metadata"]["name"])
    return Node(
        name=name,
        ready=conditions.get("Ready") == "True",
        is_control=any(label in labels for label in CONTROL),
        is_our_machine=platform.node() in (name, labels.get("kubernetes.io/hostname")),
    )


def _neighbour(metadata: Json) -> Neighbour:
    labels = metadata.get("labels") or {}
    name = f"{metadata.get('namespace', '')}/{metadata['name']}"
    return Neighbour(name, any(labels.get(label) == OURS for label in OUR_LABELS))
