"""`orchestrator once`: one run in this folder, however often the command is started. For a Job, whose container is started again."""

from __future__ import annotations

import asyncio
import os
import secrets
from pathlib import Path
from typing import Any

from orchestrator import gate, heal_command
from orchestrator.errors import OrchestratorError
from orchestrator.guardian import HEAL_WITHIN_S
from orchestrator.ledger import Ledger
from orchestrator.mirrored_heal import heal_mirrored
from orchestrator.progress import announce
from orchestrator.report import terminal
from orchestrator.report.writing import write_reports
from orchestrator.run_directory import RUNS, RunDirectory, create_run_directory, run_directories
from orchestrator.targeting import platform_to_heal
from probes.clients.unreachable import Unreachable
from probes.clock import SystemClock
from steady_state.recording import RecordingError

LOOK_S = 1.0


def run(experiment: Path) -> int:
    """The gate's exit code. Where a run is here already it is healed, judged as far as it came, and told; nothing is injected again.

    The same where no run is here but one that is no more has left something on the target: it may have been ours, on a lost volume.
    """
    earlier = run_directories(RUNS)
    if not earlier:
        orphaned = _orphans()
        if orphaned is not None:
            return orphaned
        code = gate.run(experiment)
        return code if _clean() else gate.OUR_ERROR
    announce(f"{earlier[-1].path} was begun before: it is healed and reported, not repeated")
    clean = _clean()
    code = _told(earlier[-1])
    return code if clean else gate.OUR_ERROR


def _orphans() -> int | None:
    """Heal what a run that has no directory here left on the target, and prove nothing. None where there was nothing.

    None also where its run still goes, or where the target cannot be asked: then the gate refuses, with the reason.
    """
    platform = platform_to_heal(os.environ)
    if platform is None:
        return None
    clock = SystemClock()
    try:
        found = asyncio.run(heal_mirrored(platform, clock))
    except (OrchestratorError, Unreachable):
        return None
    if not found or any(one.state == "live" for one in found):
        return None
    announce("\n".join(heal_command.lines(found)), to_stdout=True)
    if not all(one.clean for one in found):
        return gate.OUR_ERROR
    # A run without a recording: started again, this command finds it and injects nothing either.
    return _told(create_run_directory(RUNS, wall=clock.wall(), tag=secrets.randbits(16)))


def _clean() -> bool:
    """Heal what is left of any run here; False when something stays.

    Tried for as long as one whole heal may take: another process may be at it.
    """
    clock = SystemClock()
    deadline = clock.now() + HEAL_WITHIN_S
    while any(_left(directory) for directory in run_directories(RUNS)):
        if heal_command.run(None, target=None, look_only=False, as_json=False) == heal_command.CLEAN:
            return True
        if clock.now() > deadline:
            return False
        asyncio.run(clock.sleep_until(clock.now() + LOOK_S))
    return True


def _left(directory: RunDirectory) -> bool:
    """Whether a receipt is open; a ledger that cannot be read may hold one."""
    try:
        return bool(Ledger(directory.ledger).open_receipts())
    except OrchestratorError:
        return True


def _told(directory: RunDirectory) -> int:
    """Judge the recording of a run that is over and say its verdict. A run without one proved nothing."""
    try:
        report = write_reports(directory)
    except (OSError, RecordingError) as error:
        announce(f"{directory.path} has no recording that can be judged: {error}")
        announce(f"verdict=INCONCLUSIVE exit=2 run={directory.path}", to_stdout=True)
        return 2
    announce(terminal.grid(report), to_stdout=True)
    verdict, code = _ending(report)
    announce(f"verdict={verdict} exit={code} run={directory.path}", to_stdout=True)
    return code


def _ending(report: dict[str, Any]) -> tuple[str, int]:
    """As the gate would have said it."""
    if report["ended"]["how"] == "refused":
        return "REFUSED", gate.REFUSED
    return str(report["verdict"]), int(report["exit_code"])
