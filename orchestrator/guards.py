"""What must be true of the target before anything is touched. Looks only."""

from __future__ import annotations

from orchestrator.errors import OrchestratorError
from orchestrator.faults.base import BlastRadius, Surroundings
from orchestrator.faults.kinds import make_fault
from orchestrator.interposing.interposition import Interposition
from orchestrator.interposing.links import InterposedLink, links_of
from orchestrator.interposing.look import Seen
from orchestrator.plan import Plan, PlannedFault
from probes.clients.kube import KubeReader
from probes.clients.unreachable import Unreachable
from probes.clock import Clock
from probes.target import BlastCaps, Kubernetes, TargetDescription

OPT_IN = "chaos.media-gateway/enabled"
IDENTITY = "kube-system"
"""The uid of this namespace is the cluster's: it lives as long as the cluster does."""


async def objections(plan: Plan, description: TargetDescription, clock: Clock) -> list[str]:
    """Sentences against this plan on this target; empty when it may begin."""
    found = [] if description.kubernetes is None else await of_the_cluster(description.kubernetes, clock)
    if found:
        return found
    for fault in plan.faults:
        found += await _of_a_fault(fault, description, clock)
    for link in links_of(plan, description):
        found += await _of_a_link(link, description, clock)
    return found


async def of_the_cluster(target: Kubernetes, clock: Clock) -> list[str]:
    """Whether the namespace allows chaos and the cluster is the one that the description means."""
    try:
        kube = KubeReader(target, clock, threads=2)
    except Unreachable as error:
        return [str(error)]
    try:
        labels = (await kube.get(f"/api/v1/namespaces/{target.namespace}"))["metadata"].get("labels") or {}
        found = []
        if labels.get(OPT_IN) != "true":
            found.append(
                f"namespace {target.namespace} does not allow chaos; its owner does so with: "
                f"kubectl --context {target.context} label namespace {target.namespace} {OPT_IN}=true"
            )
        if target.cluster_uid is not None:
            uid = (await kube.get(f"/api/v1/namespaces/{IDENTITY}"))["metadata"]["uid"]
            if uid != target.cluster_uid:
                found.append(f"context {target.context} leads to cluster {uid}, the target description means {target.cluster_uid}")
    except Unreachable as error:
        return [f"the cluster of context {target.context} cannot be asked: {error}"]
    finally:
        kube.close()
    return found


async def _of_a_fault(planned: PlannedFault, description: TargetDescription, clock: Clock) -> list[str]:
    try:
        radius = await preview(planned, description, clock)
    except (OrchestratorError, Unreachable) as error:
        return [f"{planned.name}: {error}"]
    objection = beyond(radius, description.blast_caps)
    return [f"{planned.name}: {objection}"] if objection else []


async def _of_a_link(link: InterposedLink, description: TargetDescription, clock: Clock) -> list[str]:
    try:
        await interposable(link, description, clock)
    except (OrchestratorError, Unreachable) as error:
        return [f"{link.name}: {error}"]
    return []


async def interposable(link: InterposedLink, description: TargetDescription, clock: Clock) -> Seen:
    """What an interposition would begin with. Raises TargetError or Unreachable."""
    one = Interposition(link, description, clock)
    try:
        return await one.look()
    finally:
        await one.close()


async def preview(planned: PlannedFault, description: TargetDescription, clock: Clock) -> BlastRadius:
    """What a fault would touch. Raises TargetError or Unreachable."""
    around = Surroundings(planned.name, "preview", description, description.roles[planned.settings.role], clock)
    fault = make_fault(planned.kind, planned.settings, around)
    try:
        return await fault.preview()
    finally:
        await fault.close()


def beyond(radius: BlastRadius, caps: BlastCaps) -> str:
    """Why it is more than the target description allows; empty when it is not."""
    if not radius.capped:
        return ""
    if radius.count < 1:
        return f"there is nothing to hit: 0 {radius.what}"
    said = f"it would take {radius.count} of {radius.total} {radius.what}"
    if radius.count > caps.pods:
        return f"{said}, the target description allows {caps.pods} (blast_caps.pods)"
    if radius.count / radius.total > caps.share and not radius.may_take_last:
        return f"{said}, the target description allows a share of {caps.share:g} (blast_caps.share)"
    return ""
