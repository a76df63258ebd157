"""`orchestrator heal`: what runs left behind, and the way back."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from orchestrator.errors import OrchestratorError, RefusedError
from orchestrator.healing import AGAIN, Leftover, heal, leftovers
from orchestrator.mirrored_heal import heal_mirrored, look
from orchestrator.progress import announce
from orchestrator.run_directory import RUNS, RunDirectory, run_directories
from orchestrator.targeting import described, platform_to_heal
from probes.clients.unreachable import Unreachable
from probes.clock import SystemClock
from probes.target import TargetDescription

CLEAN, NOT_CLEAN = 0, 1
UNKNOWN = ""
WORDS = {
    "open": "is still there",
    "healed": "healed and read back",
    "gone": "gone with the run's own sandbox",
    "left": "COULD NOT BE HEALED",
    "live": "this run is still going (or another heal of it is), so it is not touched",
}


def run(run_directory: Path | None, *, target: str | None, look_only: bool, as_json: bool) -> int:
    """Exit code 0 when nothing is left, 1 when something is. Raises RefusedError for what is no run directory.

    Without a run directory, receipts that are mirrored on the target of CHAOS_TARGET are healed, too, when it has that name.
    """
    platform = None if run_directory is not None else _platform(target)
    found = [one for directory in _chosen(run_directory, target, platform) for one in _handled(directory, look_only=look_only)]
    found += [] if platform is None else _mirrored(platform, look_only=look_only)
    if as_json:
        announce(json.dumps([asdict(one) for one in found], indent=2), to_stdout=True)
    else:
        announce("\n".join(lines(found)), to_stdout=True)
    return CLEAN if all(one.clean for one in found) else NOT_CLEAN


def _handled(directory: RunDirectory, *, look_only: bool) -> list[Leftover]:
    """One run that cannot be read must not keep us from the others."""
    try:
        return leftovers(directory) if look_only else asyncio.run(heal(directory, SystemClock()))
    except (OrchestratorError, OSError) as error:
        return [Leftover(directory.run_id, "", "", "", "left", str(error), f"look into {directory.path}")]


def _platform(target: str | None) -> TargetDescription | None:
    """The description of CHAOS_TARGET, if it is the one that is meant. Raises PlanError when it cannot be read."""
    platform = platform_to_heal(os.environ)
    return platform if platform is not None and target in (None, platform.name) else None


def _mirrored(platform: TargetDescription, *, look_only: bool) -> list[Leftover]:
    """What a run without a directory here has left on the platform."""
    try:
        return asyncio.run(look(platform) if look_only else heal_mirrored(platform, SystemClock()))
    except (OrchestratorError, Unreachable) as error:
        return [Leftover("", "", "", "", "left", f"the mirrored ledger of {platform.name}: {error}", AGAIN)]


def _chosen(run_directory: Path | None, target: str | None, platform: TargetDescription | None) -> list[RunDirectory]:
    if run_directory is None:
        if not RUNS.is_dir():
            if platform is not None:
                return []
            raise RefusedError("there is no folder runs here: name a run directory, or go where the runs were started")
        return [one for one in run_directories(RUNS) if _has_receipts(one) and (target is None or _target_of(one) in (target, UNKNOWN))]
    directory = RunDirectory(run_directory.resolve())
    if not directory.path.is_dir() or not (directory.ledger.exists() or directory.recording.exists()):
        raise RefusedError(f"{run_directory} is not a run directory: it has neither ledger nor recording")
    return [directory]


def _has_receipts(directory: RunDirectory) -> bool:
    try:
        return bool(leftovers(directory))
    except OrchestratorError:
        return True


def _target_of(directory: RunDirectory) -> str:
    """Its name; where it cannot be read, it may be the one that is meant."""
    try:
        return described(directory.target.read_text(encoding="utf-8"), source=str(directory.target), strict=False).name
    except (OSError, OrchestratorError):
        return UNKNOWN


def lines(found: Iterable[Leftover]) -> list[str]:
    """What became of each, in words."""
    said = []
    for one in found:
        what = f"{one.fault} ({one.kind}) on {one.target}: " if one.fault else ""
        said.append(f"{one.run}: {what}{WORDS[one.state]}")
        if one.trouble:
            said.append(f"  {one.trouble}")
        if one.remedy:
            said.append(f"  by hand: {one.remedy}")
        if one.state == "live" and (RUNS / one.run).is_dir():
            said.append(f"  to end it: orchestrator abort {RUNS / one.run}")
    return said or ["nothing is left behind"]
