"""Where the sandbox keeps things: one directory per running sandbox, one cache for all."""

import fcntl
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

DEFAULT_NAME = "default"
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")


class SandboxError(Exception):
    """Something that the user can mend; the text is one sentence that says how."""


def password() -> str:
    """The password of all users of the platform: SANDBOX_PASSWORD, else a fixed one, for nothing here is secret."""
    return os.environ.get("SANDBOX_PASSWORD") or "sandbox"


def cache_root() -> Path:
    """The directory of the cached data: CHAOS_SANDBOX_CACHE, else chaos-orchestrator in the user's cache."""
    if chosen := os.environ.get("CHAOS_SANDBOX_CACHE"):
        return Path(chosen).absolute()
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base).absolute() / "chaos-orchestrator"


def forget_cache() -> Path:
    """Remove what is ours in the cache, and the directory itself when nothing else is in it. Returns its path."""
    root = cache_root()
    for path in (*root.glob("seed-*"), *root.glob("building-*"), root / "matplotlib"):
        shutil.rmtree(path, ignore_errors=True)
    with suppress(OSError):
        (root / "lock").unlink(missing_ok=True)
        root.rmdir()
    return root


def home() -> Path:
    """The directory of all running sandboxes of this user: CHAOS_SANDBOX_HOME, else one in the temporary directory."""
    if chosen := os.environ.get("CHAOS_SANDBOX_HOME"):
        return Path(chosen).absolute()
    return Path(tempfile.gettempdir()).absolute() / f"chaos-sandbox-{os.getuid()}"


@dataclass(frozen=True, slots=True)
class StateDirectory:
    """The directory of one sandbox; a lock in it is held for as long as its supervisor lives."""

    path: Path

    @classmethod
    def of(cls, name: str) -> "StateDirectory":
        """The directory of the sandbox `name`; raises SandboxError for a name that cannot be one."""
        if not _NAME.fullmatch(name):
            raise SandboxError(f"'{name}' cannot name a sandbox: use up to 40 lower-case letters, digits and dashes")
        return cls(home() / name)

    @property
    def name(self) -> str:
        """The sandbox's name."""
        return self.path.name

    @property
    def status_file(self) -> Path:
        """The status document; exists once the sandbox is ready."""
        return self.path / "status.json"

    @property
    def supervisor_file(self) -> Path:
        """Who runs the sandbox: pid, start time, and what clients need that the status document does not say."""
        return self.path / "supervisor.json"

    @property
    def target_file(self) -> Path:
        """The target description, for CHAOS_TARGET."""
        return self.path / "target.yaml"

    @property
    def volumes(self) -> Path:
        """What outlives its pod, as a persistent volume would."""
        return self.path / "volumes"

    @property
    def flaws_file(self) -> Path:
        """The names of the defects that are planted now, one a line."""
        return self.path / "flaws"

    @property
    def log_file(self) -> Path:
        """The supervisor's own log."""
        return self.path / "supervisor.log"

    def create(self) -> TextIO:
        """Make the directory, empty, and lock it; returns the open lock. Raises SandboxError when it is taken."""
        make_home()
        with exclusive(_home_lock()):
            _remove_dead()
            self.path.mkdir(mode=0o711, exist_ok=True)
            lock = self._lock_file.open("a")
            if not _try_lock(lock):
                lock.close()
                raise SandboxError(f"sandbox '{self.name}' is already running: use another --name, or end it with `down`")
        self.volumes.mkdir(mode=0o711)
        return lock

    def is_running(self) -> bool:
        """Whether a supervisor holds the lock."""
        try:
            with self._lock_file.open() as lock:
                return not _try_lock(lock)
        except FileNotFoundError:
            return False

    def supervisor(self) -> dict[str, Any]:
        """What the supervisor wrote about itself before anything else."""
        document: dict[str, Any] = json.loads(self.supervisor_file.read_bytes())
        return document

    def status(self) -> dict[str, Any] | None:
        """The status document of a running sandbox that is ready, else None."""
        if not self.is_running() or not self.status_file.exists():
            return None
        document: dict[str, Any] = json.loads(self.status_file.read_bytes())
        return document | {"flaws": self.flaws_file.read_text().split()}

    def remove(self) -> None:
        """Remove everything; the caller holds the lock, or the home's when nobody does."""
        shutil.rmtree(self.path, ignore_errors=True)

    @property
    def _lock_file(self) -> Path:
        return self.path / "lock"


def all_states() -> list[StateDirectory]:
    """The directories of all sandboxes, running or dead."""
    return [StateDirectory(path) for path in sorted(home().glob("[!.]*")) if path.is_dir()]


def clean() -> None:
    """Remove what killed sandboxes have left."""
    with exclusive(_home_lock()):
        _remove_dead()


def _remove_dead() -> None:
    for state in all_states():
        if not state.is_running():
            state.remove()


def _home_lock() -> Path:
    """Held while directories of sandboxes come and go."""
    return home() / "lock"


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    fresh = path.with_name(f".{path.name}.new")
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    fresh.rename(path)


@contextmanager
def exclusive(lock_file: Path) -> Iterator[None]:
    """Hold the lock in `lock_file`; waits for whoever has it."""
    with lock_file.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def make_home() -> Path:
    """Make the home: others may pass through (PostgreSQL runs as nobody when we are root), not look into it."""
    path = home()
    try:
        path.mkdir(mode=0o711, parents=True, exist_ok=True)
    except OSError as error:
        raise SandboxError(f"{path} cannot be made ({error.strerror}): set CHAOS_SANDBOX_HOME to a directory that can") from error
    if path.stat().st_uid != os.getuid():
        raise SandboxError(f"{path} belongs to another user: set CHAOS_SANDBOX_HOME to a directory of your own")
    return path


def _try_lock(lock: TextIO) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
