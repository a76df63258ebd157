"""One process at a time works on a run: the run itself while it lives, a heal afterwards."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from orchestrator.errors import RefusedError


class RunLock:
    """A lock that the kernel takes back when its holder dies. A context manager."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def take(self) -> bool:
        """True when it is ours now, False when another process has it. Raises RefusedError when the file cannot be made."""
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise RefusedError(f"{self._path} cannot be opened ({error.strerror}): who works on this run cannot be told") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        except OSError as error:
            os.close(descriptor)
            raise RefusedError(f"{self._path} cannot be locked ({error.strerror}): keep runs on a local file system") from error
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Give it back; nothing happens when it was not ours."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.release()
