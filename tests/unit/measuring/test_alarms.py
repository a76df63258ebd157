"""False alarms counted: what a cell that is not green says of itself, shares with their intervals, and the goal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from synthetic import MINUTE_0, Synthetic, five_faults, healthy, plan_of, quiet

from accuracy.alarms import __main__ as command
from accuracy.alarms.counting import Share, Summary, as_results
from accuracy.alarms.looking import Group, Look, look
from accuracy.alarms.measuring import OBSERVE, RunError, experiments, recorded
from accuracy.alarms.placebos import FULL, Placebos, placebo_looks
from accuracy.alarms.printing import figure, words
from orchestrator.plan import Plan, read_plan
from steady_state.observations import HostLine
from steady_state.verdict import Verdict


@pytest.fixture(autouse=True)
def _signals_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command takes signals over, which is not for the process of the tests."""
    monkeypatch.setattr("signal.signal", lambda number, handler: None)


def broken() -> Synthetic:
    """A run without a fault, and an outage of 3 s in it."""
    run = quiet()
    run.plan, run.faults = plan_of([]), []
    return run.with_failures("search", 100.0, 103.0)


def looked(group: Group, run: str, *, passed: int = 100, failed: int = 0, undecided: int = 0, placebo: str = "") -> Look:
    return Look(group, run, placebo, {Verdict.PASS: passed, Verdict.FAIL: failed, Verdict.INCONCLUSIVE: undecided}, ())


BOTH = [looked("placebo", "o1"), looked("healthy", "f1")]


def test_both_groups_quiet_meet_the_goal() -> None:
    assert Summary(BOTH, 1).met


@pytest.mark.parametrize(
    ("looks", "planned", "trouble"),
    [
        pytest.param([], None, [], id="nothing"),
        pytest.param(BOTH[:1], None, [], id="no healthy run"),
        pytest.param(BOTH[1:], None, [], id="no placebo"),
        pytest.param([*BOTH, looked("placebo", "o1", failed=1)], 1, [], id="placebo alarm"),
        pytest.param([*BOTH, looked("healthy", "f2", failed=1)], 1, [], id="healthy alarm"),
        pytest.param([BOTH[0], looked("healthy", "f1", passed=98, undecided=2)], 1, [], id="undecided"),
        pytest.param([looked("placebo", "o1", passed=98, undecided=2), looked("healthy", "f1", passed=9999)], 1, [], id="each group alone"),
        pytest.param(BOTH, 2, [], id="a run is missing"),
        pytest.param(BOTH, 1, ["interrupted"], id="interrupted"),
    ],
)
def test_the_goal_is_not_met(looks: list[Look], planned: int | None, trouble: list[str]) -> None:
    assert not Summary(looks, planned, trouble).met


def test_one_in_a_hundred_undecided_is_allowed() -> None:
    assert Summary([looked("placebo", "o1", passed=99, undecided=1), BOTH[1]], 1).met


def test_intervals_against_values_worked_out_by_hand() -> None:
    # 0 of n ends at 1 - 0.025^(1/n), n of n begins at 0.025^(1/n); 1 of 10 stands in the usual tables.
    assert Share(0, 10).interval == pytest.approx((0.0, 0.308497), abs=1e-6)
    assert Share(10, 10).interval == pytest.approx((0.691503, 1.0), abs=1e-6)
    assert Share(0, 2700).interval[1] == pytest.approx(0.0013653, abs=1e-6)
    assert Share(1, 10).interval == pytest.approx((0.002529, 0.445016), abs=1e-6)
    assert Share(0, 0).interval == (0.0, 1.0)


def test_placebos_of_one_recording_are_many_cells_and_one_run() -> None:
    summary = Summary([looked("placebo", "o1", passed=40, failed=5, placebo=str(place)) for place in range(3)], None)
    assert summary.cells("placebo", Verdict.FAIL) == Share(15, 135)
    assert summary.runs("placebo", Verdict.FAIL) == Share(1, 1)


def test_an_alarm_tells_what_was_looked_at() -> None:
    run = broken().with_line(HostLine(t=MINUTE_0 + 100.5, steal_ratio=0.25, busy_ratio=0.9))
    summary = Summary(list(placebo_looks(run.history(), five_faults(), "o1", Placebos(2, 7))), None)
    alarm = next(one for one in summary.alarms if one.criterion == "zero_downtime")
    assert (alarm.verdict, alarm.run, alarm.steal_ratio) == (Verdict.FAIL, "o1", 0.25)
    assert alarm.placebo in ("7/o1/0", "7/o1/1")
    assert alarm.first_failing is not None
    assert float(str(alarm.first_failing["t"])) == pytest.approx(100.0, abs=0.1)
    said = words(summary)
    assert f"{alarm.fault}/zero_downtime: search down 3.0 s" in said
    assert "CPU steal around it: 25.0% at most" in said
    assert said.splitlines()[-1] == figure(summary)
    assert as_results(summary, 7).rows[0]["verdict"] == "FAIL"


def test_the_baseline_row_counts_for_a_healthy_run_only() -> None:
    judgement = healthy().judged()
    whole, placebo = look(judgement, "healthy", "f1"), look(judgement, "placebo", "o1", "1")
    assert sum(whole.cells.values()) == sum(placebo.cells.values()) + 3


def test_the_order_of_judging_changes_nothing() -> None:
    history = broken().history()

    def judged(order: list[str]) -> dict[str, list[Look]]:
        return {run: list(placebo_looks(history, five_faults(), run, Placebos(2, 1))) for run in order}

    assert judged(["a", "b"]) == judged(["b", "a"])


def test_every_timeline_has_a_seed_of_its_own_that_more_placebos_do_not_move() -> None:
    assert Placebos(60, 3).seeds("r")[:10] == Placebos(10, 3).seeds("r")
    assert len({*Placebos(60, 3).seeds("r"), *Placebos(60, 3).seeds("s"), *Placebos(60, 4).seeds("r")}) == 180


def test_runs_with_and_without_faults_take_turns() -> None:
    assert [name for name, _ in experiments(2)] == ["observe-01", "full-01", "observe-02", "full-02"]


def test_the_watched_hour_is_the_full_hour_without_its_faults() -> None:
    def read(path: Path) -> Plan:
        return read_plan(json.loads(path.read_text(encoding="utf-8")))

    full, watched = read(FULL), read(OBSERVE)
    assert (len(full.faults), len(watched.faults)) == (5, 0)
    assert (watched.length_s, watched.load, watched.criteria) == (full.length_s, full.load, full.criteria)


def test_a_recording_is_judged_once_whatever_leads_to_it(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "one"
    run.mkdir(parents=True)
    (run / "recording.jsonl").touch()
    (tmp_path / "runs" / "latest").symlink_to("one")
    assert list(recorded([tmp_path, run, tmp_path / "runs" / "latest"])) == [run.resolve()]
    with pytest.raises(RunError, match="no recording in or under"):
        list(recorded([tmp_path / "nowhere"]))


def test_a_healthy_recording_alone_is_judged_and_written_but_proves_not_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "recording.jsonl").write_text("\n".join(healthy().texts()), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert command.main(["--judge-only", "run"]) == 1
    said = capsys.readouterr().out
    assert "FAIL among cells of healthy runs with all faults: 0 of" in said
    assert said.splitlines()[-1].endswith("goal NOT met")
    assert json.loads((tmp_path / "results" / "aa.json").read_text())["figures"]["healthy_fail"]["cells"]["of"] > 40


def test_what_was_measured_before_an_interruption_is_written_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_runs: int, _placebos: Placebos, measured: command.Measured) -> None:
        measured.looks += BOTH
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "_measure", interrupted)
    assert command.main(["--runs", "1"]) == 130
    assert "not measured: interrupted" in capsys.readouterr().out
    written = json.loads((tmp_path / "results" / "aa.json").read_text())
    assert (written["met"], written["figures"]["trouble"], written["figures"]["placebo_fail"]["cells"]["of"]) == (
        False,
        ["interrupted"],
        100,
    )


def test_a_run_without_a_recording_is_named_and_the_others_still_count() -> None:
    measured = command.Measured()

    def lost() -> list[Look]:
        raise RunError("full-01 left no recording: it said nothing")

    command._attempt(lost, "full-01", measured)
    command._attempt(lambda: BOTH, "observe-02", measured)
    assert measured.trouble == ["full-01: full-01 left no recording: it said nothing"]
    assert measured.looks == BOTH
