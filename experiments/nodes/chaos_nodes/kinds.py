"""The table of kinds of this package."""

from __future__ import annotations

from chaos_nodes.driver import drive
from chaos_nodes.fault import Act, NodeFault, Settings
from chaos_nodes.nodes import Nodes
from chaos_nodes.role import NodeRole
from orchestrator.faults.base import Surroundings
from orchestrator.faults.kinds import Kind
from orchestrator.faults.permissions import LEASES, Permission
from probes.target import PackageRole

NEEDS = (
    *(Permission(verb, "nodes", namespace="") for verb in ("get", "list")),
    Permission("list", "pods", namespace=""),
    Permission("get", "leases", LEASES, namespace="kube-node-lease"),
)
"""Reading only: what is written goes by the driver's commands, and they have rights of their own."""


def _kind(act: Act, way_back: str) -> Kind:
    def make(around: Surroundings, settings: Settings) -> NodeFault:
        return NodeFault(around, settings, act, Nodes(around.description.cluster, around.clock), drive)

    return Kind(Settings, make, PackageRole, way_back, NEEDS, NodeRole)


KINDS = {
    "node_power_cut": _kind("power_cut", "the driver powers the node on; then it is Ready, with a lease renewed since"),
    "node_partition": _kind("partition", "the driver plugs the node in; then it is Ready, with a lease renewed since"),
}
