"""`chaos run` as a process in a folder of its own, as every program here starts it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path


async def started(
    experiment: Path, folder: Path, environment: Mapping[str, str], python: str = sys.executable
) -> asyncio.subprocess.Process:
    """A run of the experiment (an absolute path), with its output in stdout.txt and stderr.txt.

    It has a session of its own: a Ctrl-C reaches us, and we end it.
    """
    with (folder / "stdout.txt").open("wb") as output, (folder / "stderr.txt").open("wb") as errors:
        return await asyncio.create_subprocess_exec(
            python,
            *("-m", "chaostoolkit", "--no-version-check", "run", str(experiment)),
            cwd=folder,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            start_new_session=True,
        )


def last_words(folder: Path) -> str:
    """The last line that a run said, on stdout where there is one."""
    lines = [line for name in ("stderr.txt", "stdout.txt") for line in (folder / name).read_text(errors="replace").splitlines() if line]
    return lines[-1] if lines else "it said nothing"
