"""What a plan would do to a live target: looked up, asked for, reached, and nothing touched."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from orchestrator.errors import OrchestratorError, TargetError
from orchestrator.faults.base import BlastRadius
from orchestrator.faults.kinds import kind_of
from orchestrator.faults.permissions import INTERPOSE, LOAD_JOB, Permission, of_a_run
from orchestrator.guards import beyond, interposable, of_the_cluster, preview
from orchestrator.interposing.links import InterposedLink, links_of
from orchestrator.plan import Plan, PlannedFault
from orchestrator.reach import reach
from orchestrator.targets.access import AccessReviews
from orchestrator.targets.lease import LeaseClient
from probes.clients.unreachable import Unreachable
from probes.clock import Clock
from probes.target import JobLoad, Kubernetes, TargetDescription


@dataclass(frozen=True, slots=True)
class FaultPreview:
    """One fault: what it would touch, None where that could not be told."""

    planned: PlannedFault
    radius: BlastRadius | None
    way_back: str


@dataclass(slots=True)
class DryRun:
    """What was found. `objections` are sentences for which the run would be refused; `reached` what answered.

    `interposed`: the Services that would lead through a proxy for the time of the run.
    """

    faults: list[FaultPreview] = field(default_factory=list)
    interposed: list[str] = field(default_factory=list)
    reached: list[str] = field(default_factory=list)
    allowed: list[Permission] = field(default_factory=list)
    objections: list[str] = field(default_factory=list)


async def dry_run(plan: Plan, description: TargetDescription, clock: Clock) -> DryRun:
    """Everything that can be known before a run. Trouble becomes an objection, never an error."""
    found = DryRun()
    if description.kubernetes is not None:
        found.objections += await of_the_cluster(description.kubernetes, clock)
        await _ask_permissions(found, plan, description)
    for planned in plan.faults:
        found.faults.append(await _previewed(found, planned, description, clock))
    for link in links_of(plan, description):
        await _look_at_link(found, link, description, clock)
    asked = await reach(plan, description, clock)
    found.reached += asked.reached
    found.objections += asked.away
    return found


async def _ask_permissions(found: DryRun, plan: Plan, description: TargetDescription) -> None:
    target, load, links = description.cluster, description.load, bool(links_of(plan, description))
    needed = [one for fault in plan.faults for one in kind_of(fault.kind).needs]
    wanted = dict.fromkeys([*of_a_run(mirrored=target.mirror_ledger), *needed, *(INTERPOSE if links else ())])
    try:
        lease = LeaseClient(target)
    except Unreachable:
        # Said already: the cluster could not be asked anything.
        return
    try:
        seen = await lease.read()
        if seen is not None and seen.holder:
            found.objections.append(f"run {seen.holder} has the lease of this target; a run waits until it is not renewed any more")
        await _review(found, wanted, target)
        if isinstance(load, JobLoad):
            await _review(found, LOAD_JOB, target.model_copy(update={"namespace": load.namespace}))
    except TargetError as error:
        found.objections.append(str(error))
    finally:
        lease.close()


async def _review(found: DryRun, wanted: Iterable[Permission], target: Kubernetes) -> None:
    """Raises TargetError."""
    reviews = AccessReviews(target)
    try:
        for permission in wanted:
            if await reviews.allows(permission):
                found.allowed.append(permission)
            else:
                where = f" in namespace {target.namespace}" if permission.namespace is None else ""
                found.objections.append(f"our identity may not {permission}{where}")
    finally:
        reviews.close()


async def _previewed(found: DryRun, planned: PlannedFault, description: TargetDescription, clock: Clock) -> FaultPreview:
    way_back = kind_of(planned.kind).way_back
    try:
        radius = await preview(planned, description, clock)
    except (OrchestratorError, Unreachable) as error:
        found.objections.append(f"{planned.name}: {error}")
        return FaultPreview(planned, None, way_back)
    objection = beyond(radius, description.blast_caps)
    found.objections += [f"{planned.name}: {objection}"] if objection else []
    return FaultPreview(planned, radius, way_back)


async def _look_at_link(found: DryRun, link: InterposedLink, description: TargetDescription, clock: Clock) -> None:
    try:
        seen = await interposable(link, description, clock)
    except (OrchestratorError, Unreachable) as error:
        found.objections.append(f"{link.name}: {error}")
        return
    switch = seen.switch
    found.interposed.append(
        f"Service {switch.service}: selector {switch.before.selector} becomes {switch.through.selector} (pod {seen.pod.name}), "
        f"target ports {switch.before.targets} become {switch.through.targets}; "
        f"Service {switch.upstream} and proxies {', '.join(switch.proxies)} are made for the run; way back: all of it, read back"
    )
