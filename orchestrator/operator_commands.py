"""`orchestrator abort` and `orchestrator note`: an operator's word to a run that is going in another terminal."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from orchestrator.errors import RefusedError
from orchestrator.inbox import Inbox, Message
from orchestrator.ledger import Ledger
from orchestrator.progress import announce
from orchestrator.run_directory import RunDirectory, open_run_directory
from orchestrator.run_lock import RunLock
from probes.clock import SystemClock

OVER_WITHIN_S = 120.0
"""A heal with a harder second way, the drain and the reports."""
LOOK_S = 0.1


def abort(run_directory: Path, reason: str) -> int:
    """End the run and wait until it is over: 0 when nothing is left behind, 1 when something is. Raises RefusedError."""
    directory = _live(run_directory)
    clock = SystemClock()
    Inbox(directory.path).send(Message("abort", reason, clock.now()))
    announce(f"run {directory.run_id} is told to end")
    if not asyncio.run(_over(directory, clock)):
        announce(f"run {directory.run_id} is not over after {OVER_WITHIN_S:g} s: kill its process, the guardian then heals")
        return 1
    left = Ledger(directory.ledger).open_receipts()
    verdict = json.loads(directory.report.read_text(encoding="utf-8"))["verdict"] if directory.report.is_file() else "none"
    announce(f"run {directory.run_id} is over: verdict={verdict}, {len(left)} faults left behind", to_stdout=True)
    return 1 if left else 0


def note(run_directory: Path, text: str) -> int:
    """Put words on the run's timeline, at this instant. Raises RefusedError."""
    directory = _live(run_directory)
    if not text.strip():
        raise RefusedError("the note is empty: say something")
    Inbox(directory.path).send(Message("note", text, SystemClock().now()))
    announce(f"noted for run {directory.run_id}", to_stdout=True)
    return 0


def _live(path: Path) -> RunDirectory:
    directory = open_run_directory(path)
    if not _is_going(directory):
        raise RefusedError(f"{path}: this run is over")
    return directory


def _is_going(directory: RunDirectory) -> bool:
    with RunLock(directory.lock) as lock:
        return not lock.take()


async def _over(directory: RunDirectory, clock: SystemClock) -> bool:
    deadline = clock.now() + OVER_WITHIN_S
    while _is_going(directory):
        if clock.now() > deadline:
            return False
        await clock.sleep_until(clock.now() + LOOK_S)
    return True
