"""`orchestrator plan`: the dry run. Prints what would happen and whether it would be refused."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

from orchestrator.dry_run import DryRun, FaultPreview, dry_run
from orchestrator.errors import RefusedError
from orchestrator.experiment_file import read_experiment
from orchestrator.leftovers import mirrored_leftovers, refuse_leftovers
from orchestrator.outline import outline
from orchestrator.progress import announce
from orchestrator.run_directory import RUNS
from orchestrator.session import Session
from probes.clock import SystemClock

REFUSED = 3


def run(path: Path) -> int:
    """Exit code 0 when a run would begin, 3 when it would be refused. Raises PlanError or RefusedError for a wrong file."""
    session = Session(read_experiment(path), os.environ)
    said = list(outline(session.plan, session.choice.description, owned=session.choice.owned))
    if session.choice.owned:
        said += ["", "The target is a sandbox that the run starts itself: there is nothing to ask yet.", "would begin"]
        announce("\n".join(said), to_stdout=True)
        return 0
    found = asyncio.run(dry_run(session.plan, session.choice.description, SystemClock()))
    found.objections += asyncio.run(mirrored_leftovers(session.choice.description))
    try:
        refuse_leftovers(RUNS, session.choice.description)
    except RefusedError as error:
        found.objections.append(str(error))
    said += ["", *_found(found), "", *(f"refused: {one}" for one in found.objections), *([] if found.objections else ["would begin"])]
    announce("\n".join(said), to_stdout=True)
    return REFUSED if found.objections else 0


def _found(found: DryRun) -> Iterator[str]:
    yield "what would be hit:"
    yield from (f"  {one.planned.name}: {_radius(one)}; way back: {one.way_back}" for one in found.faults)
    if found.interposed:
        yield "what would be interposed, before the load starts:"
        yield from (f"  {one}" for one in found.interposed)
    yield f"reached: {', '.join(found.reached) or 'nothing'}"
    if found.allowed:
        yield f"allowed: {', '.join(map(str, found.allowed))}"


def _radius(one: FaultPreview) -> str:
    return "unknown" if one.radius is None else f"{one.radius.count} of {one.radius.total} {one.radius.what}"
