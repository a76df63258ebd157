"""The table of kinds: one line a fault. Kinds of fault packages stand in tables of their own (ADR 0026)."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import BaseModel

from orchestrator.errors import HealFailed, PackageError
from orchestrator.faults import cache_flush, link_latency, partition, pod_evict, pod_kill, replica_failure
from orchestrator.faults.base import Fault, Receipt, Settings, Surroundings
from orchestrator.faults.permissions import EVICT_POD, KILL_POD, SCALE_STATEFULSET, Permission
from orchestrator.interposing.way_back import INTERPOSITION, WayBack
from orchestrator.load_job.way_back import LOAD_JOB, LoadWayBack
from probes.clock import Clock
from probes.target import LinkRole, PackageRole, RedisRole, ReplicaRole, TargetDescription, WorkloadRole


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of fault: its settings, its class, the kind of role it acts on, what it must be allowed, and its way back in words.

    `role_settings`, of a fault package: what its PackageRole must say.
    """

    settings: type[Settings]
    make: Callable[[Surroundings, Any], Fault]
    role: type[WorkloadRole | LinkRole | ReplicaRole | RedisRole | PackageRole]
    way_back: str
    needs: tuple[Permission, ...] = ()
    role_settings: type[BaseModel] | None = None


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


def package_of(kind: str) -> str:
    """The fault package of a kind that is named PACKAGE.NAME; empty for one of ours."""
    return kind.rpartition(".")[0]


def kinds_of(package: str) -> dict[str, Kind]:
    """The kinds that a fault package brings, as PACKAGE.NAME: those of KINDS in its module `kinds`. Raises PackageError."""
    try:
        found = importlib.import_module(f"{package}.kinds").KINDS
    except (ImportError, AttributeError) as error:
        raise PackageError(package, str(error)) from error
    return {f"{package}.{name}": kind for name, kind in found.items()}


def kind_of(name: str) -> Kind:
    """The kind of this name, ours or PACKAGE.NAME. Raises PackageError."""
    package = package_of(name)
    kinds = kinds_of(package) if package else KINDS
    if package and name not in kinds:
        raise PackageError(package, f"it has no {name}")
    return kinds[name]


def make_fault(kind: str, settings: Settings, surroundings: Surroundings) -> Fault:
    """The fault of a plan."""
    return kind_of(kind).make(surroundings, settings)


class Healer(Protocol):
    """All that is needed of what a receipt belongs to when only the way back is left."""

    async def heal(self, receipt: Receipt) -> None: ...

    async def close(self) -> None: ...


def fault_of(receipt: Receipt, description: TargetDescription, clock: Clock) -> Healer:
    """The fault, the interposition or the load that a receipt belongs to, ready to heal.

    Raises HealFailed where its fault package is not here.
    """
    if receipt.kind == INTERPOSITION:
        return WayBack(receipt, description.cluster, clock)
    if receipt.kind == LOAD_JOB:
        return LoadWayBack(receipt, description.cluster, clock)
    role = description.roles[str(receipt.settings["role"])]
    package = package_of(receipt.kind)
    # A receipt may come from a ConfigMap that others can write: it names no code that the description does not name, too.
    if package and not (isinstance(role, PackageRole) and role.package == package):
        raise HealFailed(f"role {receipt.settings['role']!r} of target {description.name} is not of {package}", "mend the description")
    try:
        kind = kind_of(receipt.kind)
    except PackageError as error:
        raise HealFailed(
            str(error), "install it where `orchestrator heal` runs, or name its folder in PYTHONPATH, and heal again"
        ) from error
    around = Surroundings(receipt.fault, receipt.run_id, description, role, clock)
    return kind.make(around, kind.settings.model_validate(receipt.settings))
