"""Real runs by the public command, one after the other on one sandbox, each in a folder of its own that is kept."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from accuracy.alarms.placebos import FULL
from accuracy.sandbox import DetachedSandbox, without_ours

OBSERVE = Path("experiments/observe.json")
RUN_WITHIN_S = 600.0
"""240 s of timeline at scale 15, and the baseline check, draining and judging around it."""
END_WITHIN_S = 60.0
"""A run that was told to end heals, judges and reports; then it is killed."""


class RunError(Exception):
    """A run left no recording; the text says why."""


def experiments(runs: int) -> list[tuple[str, Path]]:
    """Name and experiment of each run: with and without faults by turns, so that a drift of the machine meets both alike."""
    return [(f"{path.stem}-{place:02d}", path) for place in range(1, runs + 1) for path in (OBSERVE, FULL)]


def run_once(sandbox: DetachedSandbox, experiment: Path, folder: Path) -> Path:
    """One run on the platform made as new; its run directory. Raises RunError, SandboxTrouble."""
    sandbox.plant()
    folder.mkdir(parents=True)
    with _command(experiment, folder, without_ours(os.environ) | sandbox.environment()) as process:
        try:
            process.wait(RUN_WITHIN_S)
        except subprocess.TimeoutExpired as error:
            raise RunError(f"{folder.name} did not end within {RUN_WITHIN_S:g} s") from error
        finally:
            _end(process)
    directory = (folder / "runs" / "latest").resolve()
    if not (directory / "recording.jsonl").is_file():
        raise RunError(f"{folder.name} left no recording: {_last_words(folder)}")
    return directory


def recorded(folders: list[Path]) -> Iterator[Path]:
    """The run directories in or under these folders, each once. Raises RunError for a folder without one."""
    seen: set[Path] = set()
    for folder in folders:
        found = sorted({path.parent.resolve() for path in folder.rglob("recording.jsonl")})
        if not found:
            raise RunError(f"there is no recording in or under {folder}")
        yield from (path for path in found if path not in seen)
        seen |= set(found)


def _command(experiment: Path, folder: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """`chaos run` in a session of its own: a Ctrl-C reaches us, and we end it cleanly."""
    with (folder / "stdout.txt").open("wb") as output, (folder / "stderr.txt").open("wb") as errors:
        return subprocess.Popen(
            [sys.executable, "-m", "chaostoolkit", "--no-version-check", "run", str(experiment.resolve())],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            start_new_session=True,
        )


def _end(process: subprocess.Popen[bytes]) -> None:
    """First as Ctrl-C would, so that it takes its faults away; kill it when that does not work."""
    for number, within_s in ((signal.SIGINT, END_WITHIN_S), (signal.SIGKILL, None)):
        if process.poll() is not None:
            return
        process.send_signal(number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(within_s)


def _last_words(folder: Path) -> str:
    lines = [line for name in ("stderr.txt", "stdout.txt") for line in (folder / name).read_text(errors="replace").splitlines() if line]
    return lines[-1] if lines else "it said nothing"
