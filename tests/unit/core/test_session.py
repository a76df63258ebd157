"""The session where no platform is needed: before the start, and what its last line says."""

from __future__ import annotations

from pathlib import Path

import pytest
from plan_mistakes import full

from orchestrator.errors import HarnessError, PlanError
from orchestrator.run_directory import RunDirectory
from orchestrator.session import Session
from sandbox.describe import Place, description


@pytest.fixture
def session(tmp_path: Path) -> Session:
    file = tmp_path / "target.yaml"
    file.write_text(description(Place(Path("none"), None)), encoding="utf-8")
    return Session(full(), {"CHAOS_TARGET": str(file)})


def test_making_one_touches_nothing(session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["target.yaml"]
    assert session.directory is None
    assert session.open_receipts() == []


def test_a_wrong_plan_makes_none(tmp_path: Path) -> None:
    with pytest.raises(PlanError):
        Session({}, {"CHAOS_TARGET": str(tmp_path)})


def test_nothing_waits_or_begins_before_it_was_prepared(session: Session) -> None:
    with pytest.raises(HarnessError, match="the timeline has not begun"):
        session.wait_for("pod-kill", 40)
    with pytest.raises(HarnessError, match="the run was not prepared"):
        session.begin()
    with pytest.raises(HarnessError, match="the run was not prepared"):
        session.wait_until_steady()
    assert not session.begun


def test_an_end_before_the_start_does_nothing_and_says_so(session: Session, capsys: pytest.CaptureFixture[str]) -> None:
    session.finish("aborted")
    session.close()
    assert capsys.readouterr().out == "verdict=ERROR exit=1 run=none\n"
    assert not session.passed


@pytest.mark.parametrize(
    ("verdict", "refusal", "error", "line"),
    [
        ("PASS", "", "", "verdict=PASS exit=0 run=runs/x"),
        ("FAIL", "", "", "verdict=FAIL exit=1 run=runs/x"),
        ("INCONCLUSIVE", "", "", "verdict=INCONCLUSIVE exit=1 run=runs/x"),
        ("PASS", "", "bug", "verdict=ERROR exit=1 run=runs/x"),
        ("INCONCLUSIVE", "not steady", "", "verdict=REFUSED exit=1 run=runs/x"),
        ("", "", "", "verdict=ERROR exit=1 run=runs/x"),
    ],
)
def test_the_last_line_tells_how_it_ended(session: Session, verdict: str, refusal: str, error: str, line: str) -> None:
    session.directory = RunDirectory(Path("runs/x"))
    session.report = {"verdict": verdict} if verdict else None
    session.refusal, session.error = refusal, error
    assert session.last_line() == line
    assert session.passed == line.startswith("verdict=PASS")
