"""The real commands in subprocesses, each with a mark in its environment by which everything that it started can be found."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
EXPERIMENTS = ROOT / "experiments"
MARK = "CHAOS_TEST_MARK"
FINISH_WITHIN_S = 240.0
LOAD_SCALE = "20"
"""50 requests/s: enough for every criterion of the experiments here, and room on a busy machine. The main job has the full rate."""
NOT_STEADY = "the platform is not steady"
"""How a run is refused when the machine is too busy even for that."""


def environment(**more: str) -> dict[str, str]:
    """The test's own environment without what a developer may have set, and with a new mark."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CHAOS_", "KUBECONFIG"))}
    cache = {"CHAOS_SANDBOX_CACHE": os.environ["CHAOS_SANDBOX_CACHE"]} if "CHAOS_SANDBOX_CACHE" in os.environ else {}
    return kept | cache | {MARK: uuid.uuid4().hex} | more


def marked(mark: str) -> list[int]:
    """Processes that carry the mark in their environment; a zombie has none."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                content = (entry / "environ").read_bytes()
            except OSError:
                continue
            if f"{MARK}={mark}".encode() in content:
                found.append(int(entry.name))
    return found


@dataclass
class Command:
    """One `chaos run` (or `orchestrator gate`) under way in a folder of its own."""

    folder: Path
    process: subprocess.Popen[str]
    mark: str
    errors: Path
    output: Path
    report: dict[str, Any] = field(default_factory=dict)

    @property
    def directory(self) -> Path:
        return (self.folder / "runs" / "latest").resolve()

    def wait(self) -> int:
        """The exit code; the report is read when there is one."""
        code = self.process.wait(FINISH_WITHIN_S)
        path = self.directory / "report.json"
        if path.is_file():
            self.report = json.loads(path.read_text())
        return code

    def wait_for_line(self, condition: Callable[[dict[str, Any]], bool], within_s: float = 120.0) -> dict[str, Any]:
        """The first line of the recording that fulfils the condition."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.errors.read_text()[-3000:]
            path = self.directory / "recording.jsonl"
            lines = path.read_text().splitlines()[:-1] if path.is_file() else []
            found = next((line for line in map(json.loads, lines) if condition(line)), None)
            if found is not None:
                return found
            time.sleep(0.1)
        raise AssertionError(f"no such line within {within_s} s: {self.errors.read_text()[-3000:]}")

    def wait_for_stderr(self, text: str, within_s: float = 60.0) -> None:
        """Return when the command has said this on stderr."""
        deadline = time.monotonic() + within_s
        while text not in self.errors.read_text():
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.05)

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def left_behind(self, within_s: float = 5.0) -> list[int]:
        """Processes of this run that are still there after a while."""
        deadline = time.monotonic() + within_s
        while (left := marked(self.mark)) and time.monotonic() < deadline:
            time.sleep(0.05)
        return left

    def cell(self, fault: str, criterion: str) -> dict[str, Any]:
        return next(cell for cell in self.report["cells"] if (cell["fault"], cell["criterion"]) == (fault, criterion))

    def said(self) -> str:
        """Everything for the message of a failing assertion."""
        return f"{self.output.read_text()[-4000:]}\n{self.errors.read_text()[-3000:]}"


def start(folder: Path, *arguments: str, **more: str) -> Command:
    """Start a command of the installed product in the folder."""
    variables = environment(**more)
    output, errors = folder / "stdout.txt", folder / "stderr.txt"
    with output.open("w") as out, errors.open("w") as err:
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments], cwd=folder, env=variables, stdin=subprocess.DEVNULL, stdout=out, stderr=err, text=True
        )
    return Command(folder, process, variables[MARK], errors, output)


def chaos_run(folder: Path, experiment: str, **more: str) -> Command:
    more = {"CHAOS_LOAD_SCALE": LOAD_SCALE} | more
    return start(folder, "chaostoolkit", "--no-version-check", "run", str(EXPERIMENTS / experiment), **more)


def run_until(tmp_path: Path, experiment: str, condition: Callable[[dict[str, Any]], bool], **more: str) -> Command:
    """A run that has recorded such a line; one that was refused because the machine was busy is started once more, and says so."""
    command = chaos_run(fresh(tmp_path), experiment, **more)
    try:
        command.wait_for_line(condition)
    except AssertionError:
        if command.process.poll() is None or NOT_STEADY not in command.errors.read_text():
            raise
        print(f"repeated once, the first run was refused:\n{command.said()}")
        command = chaos_run(fresh(tmp_path), experiment, **more)
        command.wait_for_line(condition)
    return command


def with_one_repeat(run: Callable[[], Command], verdict: str) -> Command:
    """A busy machine can leave our own verdict open: then the run is repeated once, and says so. No limit is loosened."""
    command = run()
    if command.report.get("verdict") == "INCONCLUSIVE" != verdict or NOT_STEADY in command.said():
        print(f"repeated once, the first run was refused or its verdict INCONCLUSIVE:\n{command.said()}")
        command = run()
    return command


def finished(folder: Path, experiment: str, **more: str) -> Command:
    command = chaos_run(folder, experiment, **more)
    command.wait()
    return command


def fresh(tmp_path: Path) -> Path:
    """A new folder for each try."""
    folder = next(tmp_path / f"try-{number}" for number in count() if not (tmp_path / f"try-{number}").exists())
    folder.mkdir()
    return folder
