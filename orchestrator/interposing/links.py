"""Which links a plan needs interposed on this target."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from orchestrator.faults.replica_failure import Settings as ReplicaFailureSettings
from orchestrator.plan import Plan, PlannedFault
from probes.target import Interpose, LinkRole, ReplicaRole, TargetDescription


@dataclass(frozen=True, slots=True)
class InterposedLink:
    """One link that is interposed. `name` is for people; `canary_path` is empty where the dependency does not speak HTTP."""

    name: str
    role: str
    toxiproxy_url: str
    proxy: str
    canary_path: str
    interpose: Interpose


def links_of(plan: Plan, description: TargetDescription) -> list[InterposedLink]:
    """Each link once, in the order of the plan; only of faults that act through the proxy."""
    found = (link for fault in plan.faults for link in _of_a_fault(fault, description))
    return list({link.name: link for link in found}.values())


def _of_a_fault(planned: PlannedFault, description: TargetDescription) -> Iterator[InterposedLink]:
    name = planned.settings.role
    role = description.roles[name]
    if isinstance(role, LinkRole) and role.interpose is not None:
        yield InterposedLink(name, name, role.toxiproxy_url, role.proxy, role.canary_path, role.interpose)
    if isinstance(role, ReplicaRole) and isinstance(planned.settings, ReplicaFailureSettings) and planned.settings.mode == "freeze":
        for pod, interpose in role.interpose.items():
            yield InterposedLink(f"{name} {pod}", name, role.toxiproxy_url, role.proxies[pod], "", interpose)
