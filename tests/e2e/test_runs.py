"""`chaos run` end to end on a sandbox of its own: a healthy platform passes, and every report is there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from e2e_command import finished, fresh, with_one_repeat


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
