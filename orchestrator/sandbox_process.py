"""The sandbox as a process that a run owns: started, described by a file, ended by its lifeline. Nothing of it is imported."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from orchestrator.errors import HarnessError, PlanError, RefusedError

UP_WITHIN_S = 180.0
"""A first start builds the cached data."""
DESCRIBE_WITHIN_S = 60.0
DOWN_WITHIN_S = 15.0
LAST_WORDS_S = 2.0
PASSWORD_ENV, PASSWORD = "SANDBOX_PASSWORD", "sandbox"
"""The test users' password on the sandbox; nothing there is secret."""


def describe_sandbox(flaws: Sequence[str] = ()) -> str:
    """The description of a sandbox that is not up: roles, routes and breakers, no addresses. Raises PlanError or RefusedError."""
    command = [sys.executable, "-m", "sandbox", "describe", *_flaw_arguments(flaws)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=DESCRIBE_WITHIN_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise RefusedError(f"the sandbox did not describe itself within {DESCRIBE_WITHIN_S:g} s: is this machine overloaded?") from error
    if done.returncode != 0:
        key = "CHAOS_FLAW" if flaws else "CHAOS_TARGET"
        raise PlanError(key, _last_line(done.stderr.splitlines()), "choose a known flaw" if flaws else "install the extra 'sandbox'")
    return done.stdout


def sandbox_command(arguments: Sequence[str]) -> int:
    """Execute `python -m sandbox ...` in the terminal and return its exit code."""
    return subprocess.run([sys.executable, "-m", "sandbox", *arguments], check=False).returncode


class SandboxProcess:
    """A sandbox that lives as long as this process holds its lifeline (a pipe on its standard input)."""

    def __init__(self, flaws: Sequence[str], say: Callable[[str], None], environment: Mapping[str, str] | None = None) -> None:
        self._flaws = flaws
        self._say = say
        self._environment = dict(os.environ if environment is None else environment)
        self._environment.setdefault(PASSWORD_ENV, PASSWORD)
        self._errors: deque[str] = deque(maxlen=20)
        self._process: subprocess.Popen[str] | None = None
        self._readers: list[threading.Thread] = []
        self._ready = threading.Event()
        self._status: dict[str, Any] = {}

    def start(self) -> None:
        """Start it; `wait_ready` tells when it is up."""
        # A session of its own: a terminal's Ctrl-C must reach the run only, which still needs the sandbox to heal.
        self._process = subprocess.Popen(
            [sys.executable, "-m", "sandbox", "up", "--lifeline", *_flaw_arguments(self._flaws)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self._environment,
            start_new_session=True,
        )
        works = (self._read_progress, self._read_status)
        self._readers = [threading.Thread(target=work, name="sandbox-output", daemon=True) for work in works]
        for reader in self._readers:
            reader.start()

    def wait_ready(self, timeout_s: float) -> bool:
        """True when it is up. Raises RefusedError when it ended instead."""
        if self._ready.wait(timeout_s):
            if not self._status:
                # Its last words may still be on their way.
                self._readers[0].join(LAST_WORDS_S)
                raise RefusedError(f"the sandbox did not come up: {_last_line(self._errors)}")
            return True
        return False

    @property
    def status(self) -> dict[str, Any]:
        """What it said of itself when it was up."""
        return self._status

    @property
    def lifeline(self) -> int:
        """The descriptor by which it lives: it ends when nobody holds it any more."""
        assert self._process is not None
        assert self._process.stdin is not None
        return self._process.stdin.fileno()

    @property
    def target(self) -> Path:
        """The description that the sandbox wrote."""
        return Path(self._status["target"])

    def stop(self) -> None:
        """Let go of the lifeline and wait. Raises HarnessError when it does not end, after killing it."""
        process = self._process
        if process is None:
            return
        assert process.stdin is not None
        process.stdin.close()
        try:
            process.wait(DOWN_WITHIN_S)
        except subprocess.TimeoutExpired as error:
            process.kill()
            process.wait()
            raise HarnessError(f"the sandbox did not end within {DOWN_WITHIN_S:g} s and was killed") from error

    def _read_progress(self) -> None:
        assert self._process is not None
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._errors.append(line.strip())
            self._say(line.strip())

    def _read_status(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("{"):
                self._status = json.loads(line)
                self._ready.set()
        # End of the stream: it is up no more, or never was.
        self._ready.set()


def _flaw_arguments(flaws: Sequence[str]) -> list[str]:
    return [argument for flaw in flaws for argument in ("--flaw", flaw)]


def _last_line(lines: Sequence[str] | deque[str]) -> str:
    return next((line.removeprefix("sandbox: ") for line in reversed(lines) if line), "it said nothing")
