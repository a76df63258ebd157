"""Commands, steps that say how long they took, and waits with an end."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
LOOK_S = 0.05
Word = str | Path


class TestbedError(Exception):
    """Something that the cluster needs is missing or failed; the text says what to do."""

    __test__ = False


def run(command: Sequence[Word], *, quiet: bool = False, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> None:
    """Run it to its end. Raises TestbedError with the last line of what it said."""
    said = subprocess.PIPE if quiet else None
    done = subprocess.run([str(word) for word in command], stdout=said, stderr=said, cwd=cwd, env=env, text=True, check=False)
    if done.returncode != 0:
        last = (done.stderr or "").strip().splitlines()[-1:] or ["see above"]
        raise TestbedError(f"`{command[0]} {command[1] if len(command) > 1 else ''}` failed with {done.returncode}: {last[0]}")


def output(command: Sequence[Word]) -> str:
    """What it says on stdout. Raises TestbedError."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise TestbedError(f"`{' '.join(map(str, command[:3]))}` failed with {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def succeeds(command: Sequence[Word]) -> bool:
    return subprocess.run([str(word) for word in command], capture_output=True, check=False).returncode == 0


@contextmanager
def step(what: str) -> Iterator[None]:
    """Says how long it took, also when it failed."""
    start, failed = time.monotonic(), "FAILED "
    try:
        yield
        failed = ""
    finally:
        print(f"{failed}{what}: {time.monotonic() - start:.1f} s", flush=True)


def wait_for(what: str, look: Callable[[], T], *, within_s: float = 120.0) -> T:
    """The first true value. Raises TestbedError when there is none in time."""
    deadline = time.monotonic() + within_s
    while not (value := look()):
        if time.monotonic() > deadline:
            raise TestbedError(f"gave up after {within_s:g} s: {what}; see boot.log and log/ of each machine in .cluster/machines")
        time.sleep(LOOK_S)
    return value
