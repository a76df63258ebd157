"""`orchestrator heal`: what runs left behind, and the way back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from orchestrator.errors import OrchestratorError, RefusedError
from orchestrator.healing import Remains, heal, remains
from orchestrator.progress import announce
from orchestrator.run_directory import RUNS, RunDirectory, run_directories
from orchestrator.targeting import described
from probes.clock import SystemClock

CLEAN, NOT_CLEAN = 0, 1
WORDS = {
    "open": "is still there",
    "healed": "healed and read back",
    "gone": "gone with the run's own sandbox",
    "left": "COULD NOT BE HEALED",
    "live": "belongs to a run that is still going",
}


def run(run_directory: Path | None, *, target: str | None, look_only: bool, as_json: bool) -> int:
    """Exit code 0 when nothing is left, 1 when something is. Raises RefusedError for what is no run directory."""
    found = [one for directory in _chosen(run_directory, target) for one in _handled(directory, look_only=look_only)]
    if as_json:
        announce(json.dumps([asdict(one) for one in found], indent=2), to_stdout=True)
    else:
        announce("\n".join(_lines(found)), to_stdout=True)
    return CLEAN if all(one.clean for one in found) else NOT_CLEAN


def _handled(directory: RunDirectory, *, look_only: bool) -> list[Remains]:
    return remains(directory) if look_only else asyncio.run(heal(directory, SystemClock()))


def _chosen(run_directory: Path | None, target: str | None) -> list[RunDirectory]:
    if run_directory is None:
        left = [one for one in run_directories(RUNS) if remains(one)]
        return [one for one in left if target is None or _target_of(one) == target]
    directory = RunDirectory(run_directory.resolve())
    if not directory.path.is_dir() or not (directory.ledger.exists() or directory.recording.exists()):
        raise RefusedError(f"{run_directory} is not a run directory: it has neither ledger nor recording")
    return [directory]


def _target_of(directory: RunDirectory) -> str:
    try:
        return described(directory.target.read_text(encoding="utf-8"), source=str(directory.target)).name
    except (OSError, OrchestratorError):
        return ""


def _lines(found: Iterable[Remains]) -> list[str]:
    lines = []
    for one in found:
        lines.append(f"{one.run}: {one.fault} ({one.kind}) on {one.target}: {WORDS[one.state]}")
        if one.trouble:
            lines.append(f"  {one.trouble}")
        if one.remedy:
            lines.append(f"  by hand: {one.remedy}")
        if one.state == "live":
            lines.append(f"  to end it: orchestrator abort {RUNS / one.run}")
    return lines or ["nothing is left behind"]
