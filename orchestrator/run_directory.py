"""The directory of a run: `runs/<time>-<id>/`, and the link `runs/latest`."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from orchestrator.errors import RefusedError

RUNS = Path("runs")
"""Where runs are kept, below the folder that a command is given in."""


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """Names of the files of one run."""

    path: Path

    @property
    def run_id(self) -> str:
        return self.path.name

    @property
    def recording(self) -> Path:
        return self.path / "recording.jsonl"

    @property
    def ledger(self) -> Path:
        return self.path / "ledger.jsonl"

    @property
    def report(self) -> Path:
        return self.path / "report.json"

    @property
    def target(self) -> Path:
        return self.path / "target.yaml"

    @property
    def lock(self) -> Path:
        return self.path / "lock"

    @property
    def owned_sandbox(self) -> Path:
        """The status of the sandbox that the run started and ends, where it did."""
        return self.path / "sandbox.json"

    def save(self, name: str, content: str) -> None:
        """Write a file whole or not at all."""
        unfinished = self.path / f".{name}.unfinished"
        unfinished.write_text(content, encoding="utf-8")
        unfinished.replace(self.path / name)

    def save_json(self, name: str, content: Mapping[str, Any]) -> None:
        self.save(name, json.dumps(content, indent=2, allow_nan=False) + "\n")


def create_run_directory(runs: Path, *, wall: datetime, tag: int) -> RunDirectory:
    """A new directory, and the link `latest` to it. Raises RefusedError when it cannot be made."""
    path = runs / f"{wall:%Y%m%d-%H%M%S}-{tag:04x}"
    try:
        path.mkdir(parents=True)
        link = runs / ".latest.unfinished"
        link.unlink(missing_ok=True)
        link.symlink_to(path.name)
        os.replace(link, runs / "latest")
    except OSError as error:
        raise RefusedError(
            f"the run directory {path} cannot be made ({error.strerror}); run in a directory that you may write to"
        ) from error
    return RunDirectory(path)


def run_directories(runs: Path) -> list[RunDirectory]:
    """All runs below a folder, the oldest first."""
    found = sorted(path for path in runs.iterdir() if path.is_dir() and not path.is_symlink()) if runs.is_dir() else []
    return [RunDirectory(path.resolve()) for path in found]


def open_run_directory(path: Path) -> RunDirectory:
    """An existing one. Raises RefusedError when there is no recording in it."""
    directory = RunDirectory(path.resolve())
    if not directory.recording.is_file():
        raise RefusedError(f"{path} is not a run directory: it has no recording.jsonl")
    return directory
