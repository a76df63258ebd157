"""Every planted defect turns the cell that it declares, and no stray one, in a run with the one fault that it needs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from e2e_command import finished, fresh, with_one_repeat

FLAWS = json.loads(
    subprocess.run([sys.executable, "-m", "orchestrator", "flaws", "--json"], capture_output=True, text=True, check=True).stdout
)


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
