"""`chaos run` end to end on a sandbox of its own: a healthy platform passes, a planted defect turns its cell."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import count
from pathlib import Path

import pytest
from e2e_command import Command, chaos_run, with_one_repeat

FLAWS = json.loads(
    subprocess.run([sys.executable, "-m", "orchestrator", "flaws", "--json"], capture_output=True, text=True, check=True).stdout
)


def finished(folder: Path, experiment: str, **more: str) -> Command:
    command = chaos_run(folder, experiment, **more)
    command.wait()
    return command


def fresh(tmp_path: Path) -> Path:
    """A new folder for each try."""
    folder = next(tmp_path / f"try-{number}" for number in count() if not (tmp_path / f"try-{number}").exists())
    folder.mkdir()
    return folder


def test_a_healthy_platform_passes_the_smoke_experiment(tmp_path: Path) -> None:
    command = with_one_repeat(lambda: finished(fresh(tmp_path), "smoke.json"), "PASS")
    assert command.report["verdict"] == "PASS", command.said()
    assert command.process.returncode == 0
    assert command.output.read_text().splitlines()[-1] == f"verdict=PASS exit=0 run=runs/{command.directory.name}"
    (fault,) = command.report["faults"]
    assert fault["felt"] is not None
    assert fault["exposure"] > 0
    assert (command.directory / "report.html").stat().st_size > 10_000
    assert json.loads((command.directory / "journal.json").read_text())["orchestrator"]["verdict"] == "PASS"
    assert command.left_behind() == []
    again = subprocess.run(
        [sys.executable, "-m", "orchestrator", "judge", str(command.directory), "--check"], capture_output=True, text=True, check=False
    )
    assert again.returncode == 0, again.stdout


@pytest.mark.parametrize("flaw", FLAWS, ids=[flaw["name"] for flaw in FLAWS])
def test_a_planted_flaw_turns_its_cell_and_no_stray_one(tmp_path: Path, flaw: dict[str, object]) -> None:
    experiment = str(flaw["experiment"]).removeprefix("experiments/")
    command = with_one_repeat(lambda: finished(fresh(tmp_path), experiment, CHAOS_FLAW=str(flaw["name"])), "FAIL")
    assert command.process.returncode == 1, command.said()
    cell = command.cell(str(flaw["fault"]), str(flaw["criterion"]))
    assert cell["verdict"] == flaw["expected"], command.said()
    followers = {(one["fault"], one["criterion"]) for one in flaw["may_follow"]}  # type: ignore[attr-defined]
    turned = {(one["fault"], one["criterion"]) for one in command.report["cells"] if one["verdict"] not in ("PASS", None)}
    assert turned - followers == {(flaw["fault"], flaw["criterion"])}, command.said()
    assert command.left_behind() == []
