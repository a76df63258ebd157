"""However a run ends, nothing is left: signals heal and report, a killed run takes its sandbox with it, a wrong plan touches nothing."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

from e2e_command import EXPERIMENTS, Command, chaos_run, run_until, start


def held(line: dict[str, Any]) -> bool:
    return line["kind"] == "fault" and line["phase"] == "proof"


def phases(command: Command) -> list[str]:
    lines = map(json.loads, (command.directory / "recording.jsonl").read_text().splitlines())
    return [line["phase"] for line in lines if line["kind"] == "fault"]


def test_sigterm_while_a_fault_is_held_heals_it_and_reports(tmp_path: Path) -> None:
    command = run_until(tmp_path, "flaws/partition.json", held)
    command.signal(signal.SIGTERM)
    assert command.wait() == 1, command.said()
    assert phases(command)[-2:] == ["healing", "healed"]
    ledger = [json.loads(line) for line in (command.directory / "ledger.jsonl").read_text().splitlines()]
    assert [entry["event"] for entry in ledger] == ["opened", "healed"]
    assert command.report["ended"] == {"how": "aborted", "reason": "signal SIGTERM"}
    assert command.report["verdict"] == "INCONCLUSIVE"
    assert command.output.read_text().splitlines()[-1].startswith("verdict=INCONCLUSIVE exit=1 run=runs/")
    assert command.left_behind() == []


def test_a_killed_run_takes_its_sandbox_and_its_workers_with_it(tmp_path: Path) -> None:
    command = run_until(tmp_path, "flaws/partition.json", lambda line: line["kind"] == "tally")
    command.signal(signal.SIGKILL)
    command.process.wait(10)
    assert command.left_behind(within_s=15.0) == []


def test_ctrl_c_while_the_sandbox_starts_leaves_nothing(tmp_path: Path) -> None:
    command = chaos_run(tmp_path, "smoke.json")
    command.wait_for_stderr("starting the cluster")
    command.signal(signal.SIGINT)
    assert command.wait() == 1
    assert command.output.read_text().splitlines()[-1].startswith("verdict=")
    assert command.left_behind() == []


def test_a_wrong_plan_is_refused_with_one_sentence_before_anything_is_touched(tmp_path: Path) -> None:
    experiment = json.loads((EXPERIMENTS / "smoke.json").read_text())
    experiment["method"][0]["at"] = "10 minutes"
    wrong = tmp_path / "wrong.json"
    wrong.write_text(json.dumps(experiment))
    sentence = "method[0] (pod-kill).at: '10 minutes' is not a duration; write it as 90, '90s', '10m' or '1h'"
    validated = start(tmp_path, "chaostoolkit", "--no-version-check", "validate", str(wrong))
    assert validated.wait() == 1
    assert sentence in validated.errors.read_text()
    gate = start(tmp_path, "orchestrator", "gate", str(wrong))
    assert gate.wait() == 3
    assert gate.errors.read_text().strip() == f"orchestrator: {sentence}"
    assert "Traceback" not in validated.errors.read_text() + gate.errors.read_text()
    assert not (tmp_path / "runs").exists()
