"""The table of kinds: one line a fault."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from orchestrator.faults import cache_flush, link_latency, partition, pod_evict, pod_kill, replica_failure
from orchestrator.faults.base import Fault, Receipt, Settings, Surroundings
from orchestrator.faults.permissions import EVICT_POD, KILL_POD, SCALE_STATEFULSET, Permission
from orchestrator.interposing.way_back import INTERPOSITION, WayBack
from orchestrator.load_job.way_back import LOAD_JOB, LoadWayBack
from probes.clock import Clock
from probes.target import LinkRole, RedisRole, ReplicaRole, TargetDescription, WorkloadRole


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of fault: its settings, its class, the kind of role it acts on, what it must be allowed, and its way back in words."""

    settings: type[Settings]
    make: Callable[[Surroundings, Any], Fault]
    role: type[WorkloadRole | LinkRole | ReplicaRole | RedisRole]
    way_back: str
    needs: tuple[Permission, ...] = ()


_LINK_BACK = "enable the proxy and remove our toxics; where that hangs, make the proxy anew"
_REPLICA_BACK = f"scale to the recorded replica count; where that does not work, patch it (frozen: {_LINK_BACK})"

_POD_BACK = "none needed: the controller replaces the pod"

KINDS: dict[str, Kind] = {
    "pod_kill": Kind(pod_kill.Settings, pod_kill.PodKill, WorkloadRole, _POD_BACK, KILL_POD),
    "pod_evict": Kind(pod_evict.Settings, pod_evict.PodEvict, WorkloadRole, _POD_BACK, EVICT_POD),
    "link_latency": Kind(link_latency.Settings, link_latency.LinkLatency, LinkRole, _LINK_BACK),
    "replica_failure": Kind(
        replica_failure.Settings, replica_failure.ReplicaFailure, ReplicaRole, _REPLICA_BACK, (*KILL_POD, *SCALE_STATEFULSET)
    ),
    "cache_flush": Kind(cache_flush.Settings, cache_flush.CacheFlush, RedisRole, "none: what is flushed is gone, and fills again by use"),
    "partition": Kind(partition.Settings, partition.Partition, LinkRole, _LINK_BACK),
}


def make_fault(kind: str, settings: Settings, surroundings: Surroundings) -> Fault:
    """The fault of a plan."""
    return KINDS[kind].make(surroundings, settings)


class Healer(Protocol):
    """All that is needed of what a receipt belongs to when only the way back is left."""

    async def heal(self, receipt: Receipt) -> None: ...

    async def close(self) -> None: ...


def fault_of(receipt: Receipt, description: TargetDescription, clock: Clock) -> Healer:
    """The fault, the interposition or the load that a receipt belongs to, ready to heal."""
    if receipt.kind == INTERPOSITION:
        return WayBack(receipt, description.cluster, clock)
    if receipt.kind == LOAD_JOB:
        return LoadWayBack(receipt, description.cluster, clock)
    settings = KINDS[receipt.kind].settings.model_validate(receipt.settings)
    around = Surroundings(receipt.fault, receipt.run_id, description, description.roles[settings.role], clock)
    return make_fault(receipt.kind, settings, around)
