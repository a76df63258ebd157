"""What a run will do, in a few lines for people: before it starts, and in the dry run."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.durations import in_words
from orchestrator.plan import Plan
from probes.target import JobLoad, TargetDescription


def outline(plan: Plan, description: TargetDescription, *, owned: bool) -> Iterator[str]:
    """Title, target, load, how to stop it, and each fault with its instant. `owned`: the target is not up yet."""
    yield plan.title
    cluster = description.kubernetes
    where = [f"namespace {cluster.namespace} of context {cluster.context}"] if cluster else []
    where += ["started by the run itself" if owned else f"gateway {description.gateway_url}"]
    yield f"target {description.name}: {', '.join(where)}"
    yield f"{in_words(plan.length_s)} under {_load(plan, description)}; to stop it: Ctrl-C, or orchestrator abort runs/<id>"
    for fault in plan.faults:
        held = f"held for {in_words(fault.hold_s)}" if fault.hold_s else "once"
        yield f"{in_words(fault.at_s):>12}  {fault.name}: {fault.kind} on role {fault.settings.role}, {held}"


def _load(plan: Plan, description: TargetDescription) -> str:
    load, rate = description.load, f"{plan.rate_per_s:g} requests/s"
    if isinstance(load, JobLoad):
        off = f", none of them on {', '.join(load.off_nodes)}" if load.off_nodes else ""
        return f"{rate} from {load.workers} pods of {load.image} in namespace {load.namespace}{off}"
    return "the platform's own traffic" if load.engine == "none" else rate
