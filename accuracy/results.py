"""`results/<target>.json`: what one of these programs measured, when, and on which machine."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

SCHEMA_VERSION = 1
FOLDER = Path("results")
Target = Literal["calibrate", "matrix", "matrix-part", "aa", "killing", "signals", "outages"]


@dataclass(frozen=True, slots=True)
class Results:
    """One measurement. `goal` is a sentence, `met` whether it was reached, `figures` the few numbers, `rows` all of them."""

    target: Target
    goal: str
    met: bool
    figures: Mapping[str, Any]
    rows: Sequence[Mapping[str, Any]]


def write_results(results: Results, folder: Path = FOLDER) -> Path:
    """Write the document whole or not at all; returns its path. The folder is made in the working directory."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{results.target}.json"
    fresh = path.with_suffix(".part")
    fresh.write_text(json.dumps(document(results), indent=1) + "\n", encoding="utf-8")
    fresh.replace(path)
    return path


def document(results: Results) -> dict[str, Any]:
    """The content of the file, as plain JSON."""
    return {
        "target": results.target,
        "schema_version": SCHEMA_VERSION,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "goal": results.goal,
        "met": results.met,
        "figures": dict(results.figures),
        "rows": [dict(row) for row in results.rows],
    }


def machine() -> dict[str, Any]:
    """The cores that this process may use, the model of the processor, kernel and Python."""
    return {
        "cpus": len(os.sched_getaffinity(0)),
        "model": _processor(Path("/proc/cpuinfo")),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


def _processor(cpuinfo: Path) -> str:
    """The kernel's name for the first processor; its architecture where it has no name (some ARM machines)."""
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.is_file() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())
