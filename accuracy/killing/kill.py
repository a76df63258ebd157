"""One run killed at one moment, and the time until nothing of it is left."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from accuracy.killing.moments import Moment
from accuracy.killing.target import Target
from accuracy.matrix.sight import RunEnded, RunSight
from accuracy.sandbox import without_ours
from orchestrator.ledger import Ledger

EXPERIMENT = Path(__file__).resolve().parents[2] / "experiments" / "overlap.json"
LOAD_SCALE = "20"
"""50 requests/s: what is measured is the way back, not the platform."""
LIVES_AT_MOST_S = 240.0
CLEAN_WITHIN_S = 30.0
LOOK_S = 0.02
MARK = "CHAOS_KILL_MARK"


@dataclass(frozen=True, slots=True)
class Killed:
    """What came of one kill. `open` are the receipts at the kill, `clean_after_s` None when something was left after all."""

    moment: str
    open: tuple[str, ...] = ()
    clean_after_s: float | None = None
    left: tuple[str, ...] = ()
    trouble: str = ""

    @property
    def good(self) -> bool:
        return self.clean_after_s is not None and not self.trouble


async def kill(moment: Moment, folder: Path, environment: Mapping[str, str]) -> Killed:
    """Start a run in the empty folder, kill its process at the moment, and watch. What kept it from being a kill is its trouble."""
    mark = uuid.uuid4().hex
    process = await _started(folder, without_ours(os.environ) | dict(environment) | {MARK: mark, "CHAOS_LOAD_SCALE": LOAD_SCALE})
    try:
        sight = RunSight(process.pid, folder, lambda: process.returncode is None)
        async with asyncio.timeout(LIVES_AT_MOST_S):
            await sight.line(moment.is_in)
        await asyncio.sleep(moment.delay_s)
    except (RunEnded, TimeoutError) as error:
        return Killed(str(moment), trouble=f"not killed: {error or 'the moment did not come'}: {_last_words(folder)}")
    finally:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGKILL)
        died = time.monotonic()
        await process.wait()
    opened = tuple(receipt.fault for receipt in reversed(Ledger(sight.recording.with_name("ledger.jsonl")).open_receipts()))
    return await _watched(Killed(str(moment), opened), died, mark, environment)


async def _watched(killed: Killed, died: float, mark: str, environment: Mapping[str, str]) -> Killed:
    """Until the target is clean, and then until no process of the run is left."""
    async with Target(_description(environment)) as target:
        while left := await target.left():
            if time.monotonic() > died + CLEAN_WITHIN_S:
                return Killed(killed.moment, killed.open, None, tuple(left))
            await asyncio.sleep(LOOK_S)
        clean_after_s = round(time.monotonic() - died, 2)
        while processes := _marked(mark):
            if time.monotonic() > died + CLEAN_WITHIN_S:
                return Killed(killed.moment, killed.open, None, tuple(f"process {pid}" for pid in processes))
            await asyncio.sleep(LOOK_S)
        # A write that was under way when the run died must not come in after the heal.
        late = await target.left()
    return Killed(killed.moment, killed.open, None if late else clean_after_s, tuple(late))


def _description(environment: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(Path(environment["CHAOS_TARGET"]).read_text(encoding="utf-8"))
    return found


async def _started(folder: Path, environment: Mapping[str, str]) -> asyncio.subprocess.Process:
    with (folder / "stdout.txt").open("wb") as output, (folder / "stderr.txt").open("wb") as errors:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "chaostoolkit", "--no-version-check", "run", str(EXPERIMENT)),
            cwd=folder,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            start_new_session=True,
        )


def _marked(mark: str) -> list[int]:
    """Processes with the mark in their environment."""
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdigit() and f"{MARK}={mark}".encode() in (entry / "environ").read_bytes():
                found.append(int(entry.name))
    return found


def _last_words(folder: Path) -> str:
    lines = [line for line in (folder / "stderr.txt").read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"
