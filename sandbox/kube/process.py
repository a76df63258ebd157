"""One local process: started so that it dies with us, watched without polling, ended with all its children."""

import asyncio
import ctypes
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)
_READ_BYTES = 65536


@dataclass(frozen=True, slots=True)
class Command:
    """What to run."""

    argv: Sequence[str]
    environment: Mapping[str, str]
    directory: str = "/"


class ManagedProcess:
    """A process in a session of its own. Make it on the main thread of a running event loop.

    `on_output` gets what it writes to stdout and stderr. `wait` gives the exit code, negative for a signal's number.
    Raises OSError when the command cannot be started.
    """

    def __init__(self, command: Command, on_output: Callable[[bytes], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_output = on_output
        self._exited: asyncio.Future[int] = self._loop.create_future()
        self._popen = _spawn(command)
        self.pid = self._popen.pid
        assert self._popen.stdout is not None
        self._output = self._popen.stdout.fileno()
        os.set_blocking(self._output, False)
        self._loop.add_reader(self._output, self._read)
        # A pidfd becomes readable when the process ends: no thread, no SIGCHLD handler, no polling.
        self._pidfd = os.pidfd_open(self.pid)
        self._loop.add_reader(self._pidfd, self._reap)

    @property
    def running(self) -> bool:
        return not self._exited.done()

    async def wait(self) -> int:
        return await asyncio.shield(self._exited)

    def terminate(self) -> None:
        """SIGTERM to the process alone, as a container's process 1 gets it."""
        if self.running:
            os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL to the process and all its descendants, at once."""
        if self.running:
            kill_tree(self.pid)

    def _read(self) -> None:
        data = _read_now(self._output)
        if data:
            self._on_output(data)
        elif data == b"":
            self._close_output()

    def _close_output(self) -> None:
        if self._output >= 0:
            self._loop.remove_reader(self._output)
            assert self._popen.stdout is not None
            self._popen.stdout.close()
            self._output = -1

    def _reap(self) -> None:
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        # Before the zombie is reaped its number cannot be reused, so its group is still its own.
        _signal_group(self.pid)
        while self._output >= 0 and (data := _read_now(self._output)):
            self._on_output(data)
        self._close_output()
        self._exited.set_result(self._popen.wait())


def _spawn(command: Command) -> "subprocess.Popen[bytes]":
    parent = os.getpid()

    def die_with_parent() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return subprocess.Popen(
        list(command.argv),
        env=dict(command.environment),
        cwd=command.directory,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=die_with_parent,  # noqa: PLW1509 - one system call and a comparison; no lock is taken
    )


def _read_now(descriptor: int) -> bytes | None:
    """What can be read without waiting; b'' at the end, None when there is nothing yet."""
    try:
        return os.read(descriptor, _READ_BYTES)
    except BlockingIOError:
        return None


def _signal_group(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def kill_tree(pid: int) -> None:
    """SIGKILL a process, its group and its descendants, which may lead sessions of their own (PostgreSQL's do)."""
    try:
        # Stopped first: it must not fork while its descendants are looked up.
        os.kill(pid, signal.SIGSTOP)
    except ProcessLookupError:
        return
    family = [pid, *descendants(pid)]
    _signal_group(pid)
    for member in family:
        try:
            os.kill(member, signal.SIGKILL)
        except ProcessLookupError:
            continue


def descendants(pid: int) -> list[int]:
    """All processes below this one, from one look at /proc."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            parent = _parent(entry)
            if parent is not None:
                children.setdefault(parent, []).append(int(entry.name))
    found: list[int] = []
    pending = [pid]
    while pending:
        below = children.get(pending.pop(), [])
        found += below
        pending += below
    return found


def _parent(entry: Path) -> int | None:
    try:
        # The second field is the command in parentheses, which may itself hold spaces and parentheses.
        return int((entry / "stat").read_bytes().rpartition(b")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return None
