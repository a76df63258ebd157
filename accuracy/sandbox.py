"""One detached sandbox, reached through its command only: up, plant, its target and environment, down."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

UP_WITHIN_S = 180.0
"""A first start builds the cached data."""
PLANT_WITHIN_S = 300.0
"""A flaw may be that pods take 150 s to start."""
ASK_WITHIN_S = 60.0
EXPORT = "export "


class SandboxTrouble(Exception):  # noqa: N818 - what the sandbox said, in one sentence
    """A sandbox command failed or took too long; the text says which and why."""


@dataclass(frozen=True, slots=True)
class DetachedSandbox:
    """A running sandbox of this name. A context manager: leaving it takes the sandbox down."""

    name: str

    @classmethod
    def up(cls, name: str, *, flaws: Sequence[str] = ()) -> Self:
        """Start it and return when it is ready. Raises SandboxTrouble; nothing is left then, nor after an interruption."""
        sandbox = cls(name)
        try:
            _command("up", "--detach", "--name", name, *_planted(flaws), within_s=UP_WITHIN_S)
        except BaseException:
            with suppress(SandboxTrouble):
                sandbox.down()
            raise
        return sandbox

    def plant(self, *flaws: str) -> None:
        """Make it as good as new, with these flaws and no other. Raises SandboxTrouble."""
        _command("plant", "--name", self.name, *_planted(flaws), within_s=PLANT_WITHIN_S)

    def status(self) -> dict[str, Any]:
        """Its status document. Raises SandboxTrouble."""
        document: dict[str, Any] = json.loads(_command("status", "--json", "--name", self.name, within_s=ASK_WITHIN_S))
        return document

    @property
    def target(self) -> Path:
        """The target description that it wrote, for CHAOS_TARGET. Raises SandboxTrouble."""
        return Path(self.status()["target"])

    def environment(self) -> dict[str, str]:
        """What `sandbox env` exports, CHAOS_TARGET and SANDBOX_PASSWORD among it. Raises SandboxTrouble."""
        said = _command("env", "--name", self.name, within_s=ASK_WITHIN_S)
        return exports(said)

    def down(self) -> None:
        """Take it away. Raises SandboxTrouble when it does not end or does not run."""
        _command("down", "--name", self.name, within_s=ASK_WITHIN_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.down()


def flaws() -> list[dict[str, Any]]:
    """All flaws that can be planted, as `sandbox flaws --json` tells them. Raises SandboxTrouble."""
    listed: list[dict[str, Any]] = json.loads(_command("flaws", "--json", within_s=ASK_WITHIN_S))
    return listed


def exports(text: str) -> dict[str, str]:
    """The variables of `export NAME=value` lines, unquoted as a shell would."""
    pairs = (shlex.split(line.removeprefix(EXPORT))[0].partition("=") for line in text.splitlines() if line.startswith(EXPORT))
    return {name: value for name, _, value in pairs}


def without_ours(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment without what a developer may have set for runs; the place of the sandbox's cache and home stays."""
    kept = ("CHAOS_SANDBOX_CACHE", "CHAOS_SANDBOX_HOME")
    return {name: value for name, value in environment.items() if name in kept or not name.startswith(("CHAOS_", "KUBECONFIG"))}


def _planted(flaws: Sequence[str]) -> list[str]:
    return [argument for flaw in flaws for argument in ("--flaw", flaw)]


def _command(*arguments: str, within_s: float) -> str:
    """Stdout of `python -m sandbox ...`. A session of its own: a terminal's Ctrl-C must not end it half-way."""
    process = subprocess.Popen(
        [sys.executable, "-m", "sandbox", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=without_ours(os.environ),
        start_new_session=True,
    )
    try:
        output, errors = process.communicate(timeout=within_s)
    except subprocess.TimeoutExpired as error:
        raise SandboxTrouble(f"`sandbox {arguments[0]}` did not end within {within_s:g} s") from error
    finally:
        if process.poll() is None:
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGKILL)
            process.wait()
    if process.returncode != 0:
        raise SandboxTrouble(f"`sandbox {arguments[0]}` failed: {_last_line(errors)}")
    return output


def _last_line(text: str) -> str:
    return next((line.removeprefix("sandbox: ").strip() for line in reversed(text.splitlines()) if line.strip()), "it said nothing")
