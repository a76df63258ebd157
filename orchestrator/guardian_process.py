"""The guardian as the run sees it: started before anything can be left behind, let go of at the end."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from typing import IO

from orchestrator.errors import HarnessError
from orchestrator.guardian import AT_MOST_TRIES
from orchestrator.run_directory import RunDirectory

GOODBYE = b"bye"
END_WITHIN_S = 30.0
"""One heal with a harder second way, on a sandbox that ends afterwards."""


class GuardianProcess:
    """Lives as long as this process holds the pipe on its standard input, and then until nothing is left."""

    def __init__(self, directory: RunDirectory, *, lifeline: int | None) -> None:
        """`lifeline`: the descriptor by which our own sandbox lives; the guardian keeps it, too. Raises HarnessError."""
        self._log = directory.path / "guardian.log"
        self._owns_sandbox = lifeline is not None
        try:
            with self._log.open("ab") as log:
                self._process = _started(directory, lifeline, log)
        except OSError as error:
            raise HarnessError(f"the guardian could not be started: {error}") from error

    @property
    def lost(self) -> str:
        """That it is no more, in words; empty while it lives."""
        code = self._process.poll()
        return "" if code is None else f"the guardian ended with {code}, see {self._log}"

    def let_go(self, *, clean: bool) -> None:
        """The run is over. Waits for the end where nothing is left or the sandbox ends with us. Raises HarnessError."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.write(GOODBYE)
            self._process.stdin.flush()
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        if not clean and not self._owns_sandbox:
            raise HarnessError(f"something is left behind; the guardian goes on trying to heal it, see {self._log}")
        try:
            code = self._process.wait(END_WITHIN_S)
        except subprocess.TimeoutExpired as error:
            self._process.kill()
            self._process.wait()
            raise HarnessError(f"the guardian did not end within {END_WITHIN_S:g} s and was killed, see {self._log}") from error
        if code != 0:
            raise HarnessError(f"the guardian ended with {code}, see {self._log}")


def _started(directory: RunDirectory, lifeline: int | None, log: IO[bytes]) -> subprocess.Popen[bytes]:
    tries = AT_MOST_TRIES if lifeline is None else 1
    return subprocess.Popen(
        [sys.executable, "-m", "orchestrator.guardian", str(directory.ledger.resolve()), str(tries)],
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=log,
        pass_fds=() if lifeline is None else (lifeline,),
        # A session of its own: what ends the run's terminal must not end the guardian.
        start_new_session=True,
    )
