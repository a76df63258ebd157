"""One run for a folder: started again, the command heals and tells, and never injects a second time."""

from __future__ import annotations

from pathlib import Path

import pytest
from scripted_fault import Act, ScriptedFault, raises, receipt
from synthetic import Synthetic, healthy

from orchestrator import gate, healing, once_command
from orchestrator.errors import TargetError
from orchestrator.healing import Leftover, State
from orchestrator.ledger import Ledger
from orchestrator.run_directory import RunDirectory
from sandbox.describe import Place, description

EXPERIMENT = Path("full.json")
LEFT: dict[str, ScriptedFault] = {}


@pytest.fixture(autouse=True)
def gated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Path]:
    """Experiments that the gate was asked to run (each passes); faults that are healed do what LEFT says; an empty folder."""
    asked: list[Path] = []

    def passes(experiment: Path) -> int:
        asked.append(experiment)
        return 0

    LEFT.clear()
    monkeypatch.setattr(gate, "run", passes)
    monkeypatch.setattr(healing, "fault_of", lambda receipt, _description, _clock: LEFT[receipt.fault])
    monkeypatch.setattr(healing, "mirror_of", lambda _description, _directory: None)
    monkeypatch.delenv("CHAOS_TARGET", raising=False)
    monkeypatch.setattr(once_command, "HEAL_WITHIN_S", 0.0)
    monkeypatch.setattr(once_command, "LOOK_S", 0.01)
    monkeypatch.chdir(tmp_path)
    return asked


def begun(recording: Synthetic | None, **scripts: dict[str, Act]) -> RunDirectory:
    """A run below ./runs whose process is no more, with an open receipt for each script."""
    directory = RunDirectory(Path("runs/20261128-010000-aaaa").resolve())
    directory.path.mkdir(parents=True)
    (directory.path / "kubeconfig").touch()
    directory.target.write_text(description(Place(directory.path / "kubeconfig", None)))
    if recording is not None:
        directory.recording.write_text("\n".join(recording.texts()) + "\n")
    for fault, script in scripts.items():
        Ledger(directory.ledger).open(receipt(fault))
        LEFT[fault] = ScriptedFault(script, Ledger(directory.ledger))
    return directory


def last_line(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out.splitlines()[-1]


def test_in_an_empty_folder_it_is_the_gate(gated: list[Path]) -> None:
    assert once_command.run(EXPERIMENT) == 0
    assert gated == [EXPERIMENT]


def test_a_killed_run_is_healed_judged_and_not_repeated(gated: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    directory = begun(healthy().killed(at=70), cut={})
    assert once_command.run(EXPERIMENT) == 2
    assert last_line(capsys).startswith("verdict=INCONCLUSIVE exit=2 run=")
    assert LEFT["cut"].count("heal") == 1
    assert Ledger(directory.ledger).open_receipts() == []
    assert directory.report.is_file()
    assert gated == []


def test_a_verdict_is_told_again_each_time(gated: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    begun(healthy())
    for _ in range(2):
        assert once_command.run(EXPERIMENT) == 0
        assert last_line(capsys).startswith("verdict=PASS exit=0 run=")
    assert gated == []


def test_what_cannot_be_healed_is_our_error_and_the_next_start_tries_again(gated: list[Path]) -> None:
    begun(healthy().killed(at=70), cut={"heal": raises(TargetError("the API server answered 500"))})
    assert once_command.run(EXPERIMENT) == gate.OUR_ERROR
    assert LEFT["cut"].count("heal") >= 1
    LEFT["cut"].script.clear()
    assert once_command.run(EXPERIMENT) == 2
    assert gated == []


def test_a_run_that_died_before_its_first_line_proved_nothing(gated: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    begun(None)
    assert once_command.run(EXPERIMENT) == 2
    assert last_line(capsys).startswith("verdict=INCONCLUSIVE exit=2 run=")
    assert gated == []


def test_what_the_run_itself_left_is_healed_before_the_command_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_experiment: Path) -> int:
        begun(healthy(), cut={})
        return 1

    monkeypatch.setattr(gate, "run", fails)
    assert once_command.run(EXPERIMENT) == 1
    assert LEFT["cut"].count("heal") == 1


@pytest.fixture
def platform(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Leftover]:
    """What is found on the platform of CHAOS_TARGET and healed there."""
    found: list[Leftover] = []

    async def heals(_description: object, _clock: object) -> list[Leftover]:
        taken, found[:] = list(found), []
        return taken

    (tmp_path / "target.yaml").write_text(description(Place(tmp_path / "kubeconfig", None)))
    monkeypatch.setenv("CHAOS_TARGET", "target.yaml")
    monkeypatch.setattr(once_command, "heal_mirrored", heals)
    return found


def orphan(state: State) -> Leftover:
    return Leftover("run-0", "cut", "partition", "link x", state)


def test_what_a_lost_folder_left_on_the_target_is_healed_and_no_run_begins(
    gated: list[Path], platform: list[Leftover], capsys: pytest.CaptureFixture[str]
) -> None:
    platform.append(orphan("healed"))
    for _ in range(2):
        assert once_command.run(EXPERIMENT) == 2
        assert last_line(capsys).startswith("verdict=INCONCLUSIVE exit=2 run=")
    assert gated == []


def test_an_orphan_that_stays_is_our_error_and_the_next_start_tries_again(gated: list[Path], platform: list[Leftover]) -> None:
    endings: list[tuple[State, int]] = [("left", gate.OUR_ERROR), ("healed", 2)]
    for state, code in endings:
        platform[:] = [orphan(state)]
        assert once_command.run(EXPERIMENT) == code
    assert gated == []


def test_a_run_that_still_goes_elsewhere_is_left_to_the_gates_refusal(gated: list[Path], platform: list[Leftover]) -> None:
    platform.append(orphan("live"))
    assert once_command.run(EXPERIMENT) == 0
    assert gated == [EXPERIMENT]
