"""`orchestrator once`: one run in this folder, however often the command is started. For a Job, whose container is started again."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from orchestrator import gate, heal_command
from orchestrator.errors import OrchestratorError
from orchestrator.guardian import HEAL_WITHIN_S
from orchestrator.ledger import Ledger
from orchestrator.progress import announce
from orchestrator.report import terminal
from orchestrator.report.writing import write_reports
from orchestrator.run_directory import RUNS, RunDirectory, run_directories
from probes.clock import SystemClock
from steady_state.recording import RecordingError

LOOK_S = 1.0


def run(experiment: Path) -> int:
    """The gate's exit code. Where a run is here already it is healed, judged as far as it came, and told; nothing is injected again."""
    earlier = run_directories(RUNS)
    if not earlier:
        code = gate.run(experiment)
        return code if _clean() else gate.OUR_ERROR
    announce(f"{earlier[-1].path} was begun before: it is healed and reported, not repeated")
    clean = _clean()
    code = _told(earlier[-1])
    return code if clean else gate.OUR_ERROR


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
