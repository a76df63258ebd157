"""The load workers of one run, found as children of its process and stopped from outside."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

WORKER = b"orchestrator.load"
PROC = Path("/proc")


def load_workers(parent: int, proc: Path = PROC) -> list[int]:
    """Process ids of the load workers that the process `parent` started; never those of another run."""
    entries = (entry for entry in proc.iterdir() if entry.name.isdigit())
    return sorted(int(entry.name) for entry in entries if _parent(entry) == parent and WORKER in _arguments(entry))


class Generator:
    """The load workers of a run, held by file descriptors that no later process can take over."""

    def __init__(self, descriptors: list[int]) -> None:
        self._descriptors = descriptors

    async def stall(self, seconds: float) -> None:
        """Stop all workers for so long; they go on whatever happens meanwhile."""
        self._send(signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            self._send(signal.SIGCONT)

    def _send(self, number: signal.Signals) -> None:
        for descriptor in self._descriptors:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(descriptor, number)


@contextmanager
def generator_of(run: int) -> Iterator[Generator]:
    """The generator of the run whose process this is. Raises LookupError when it has no load worker."""
    with ExitStack() as stack:
        descriptors = []
        for pid in load_workers(run):
            descriptor = os.pidfd_open(pid)
            stack.callback(os.close, descriptor)
            descriptors.append(descriptor)
        if not descriptors:
            raise LookupError(f"process {run} has no load worker")
        yield Generator(descriptors)


def _parent(entry: Path) -> int:
    """The parent of a process, 0 when it is gone. A name in /proc/PID/stat may hold spaces and brackets."""
    try:
        return int((entry / "stat").read_text(errors="replace").rpartition(")")[2].split()[1])
    except (OSError, IndexError, ValueError):
        return 0


def _arguments(entry: Path) -> list[bytes]:
    try:
        return (entry / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return []
