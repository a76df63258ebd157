"""From rows to the goal: tolerances, bias, repetition of what the machine spoiled, exit codes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from accuracy.calibrate import __main__ as program
from accuracy.calibrate.cases import Case, all_cases
from accuracy.calibrate.comparing import Row, accuracies, figures, met, summary, verdict_row
from accuracy.calibrate.printing import table
from orchestrator.errors import RefusedError
from probes.clock import SystemClock
from steady_state.verdict import Verdict


def recovery(truth: float, measured: float | None, case: str = "error-5s", spoiled: str = "") -> Row:
    return Row(case, "recovery", "recovery", truth, measured, spoiled=spoiled)


@pytest.mark.parametrize(
    ("row", "judged"),
    [
        (recovery(5.0, 5.2), "right"),
        (recovery(5.0, 4.8), "right"),
        (recovery(5.0, 5.201), "wrong"),
        (recovery(5.0, 4.799), "wrong"),
        (recovery(5.0, None), "wrong"),
        (recovery(5.0, 5.0, spoiled="the generator lagged"), "inconclusive"),
        (Row("c", "to open", "transition", 5.0, 5.25), "right"),
        (Row("c", "to open", "transition", 5.0, 5.251), "wrong"),
        (Row("c", "during", "rate", 0.05, 0.05), "right"),
        (Row("c", "during", "rate", 0.05, 0.0543), "wrong"),
        (verdict_row("c", "recovery_time", Verdict.FAIL, Verdict.FAIL, ""), "right"),
        (verdict_row("c", "recovery_time", Verdict.FAIL, Verdict.PASS, ""), "wrong"),
        (verdict_row("c", "recovery_time", Verdict.FAIL, Verdict.INCONCLUSIVE, "blind"), "inconclusive"),
    ],
)
def test_a_row_is_right_within_its_tolerance_only(row: Row, judged: str) -> None:
    assert row.judged == judged


def test_the_goal_needs_every_row_and_at_least_one() -> None:
    assert met([recovery(5.0, 5.1)])
    assert not met([])
    assert not met([recovery(5.0, 5.1), recovery(5.0, 5.3)])
    assert not met([recovery(5.0, 5.1), recovery(5.0, 5.0, spoiled="lag")])


def test_bias_keeps_its_sign_and_spoiled_rows_do_not_count() -> None:
    rows = [recovery(5.0, 4.9), recovery(5.0, 4.96), recovery(5.0, 9.0, spoiled="lag"), recovery(5.0, None)]
    (found,) = accuracies(rows)
    assert (found.count, found.bias, found.largest) == (2, pytest.approx(-0.07), pytest.approx(0.1))


def test_the_figure_counts_the_cases_around_the_limit_apart() -> None:
    rows = [
        verdict_row("error-119s", "recovery_time", Verdict.PASS, Verdict.PASS, ""),
        verdict_row("hang-121s", "recovery_time", Verdict.FAIL, Verdict.PASS, ""),
        verdict_row("error-5s", "recovery_time", Verdict.PASS, Verdict.PASS, ""),
    ]
    assert figures(rows)["around_120_s"] == {"n": 2, "right": 1}
    assert "around 120 s 1/2" in summary(rows)
    assert summary(rows).startswith("calibration NOT met")


def test_a_line_that_is_not_right_says_why() -> None:
    printed = table([Row("hang-1s", "recovery", "recovery", 1.0, 2.0, because="steady 2.0 s after the fault ended")])
    assert "+1.000" in printed
    assert "WRONG; steady 2.0 s" in printed


class Scripted:
    """Stands for the measuring: answers call by call, and remembers which cases it was asked for."""

    def __init__(self, *answers: dict[str, str]) -> None:
        self.answers = list(answers)
        self.asked: list[list[str]] = []

    def __call__(self, cases: Sequence[Case], _clock: object) -> list[Row]:
        spoiled = self.answers.pop(0)
        self.asked.append([case.name for case in cases])
        return [recovery(5.0, 5.0, case=case.name, spoiled=spoiled.get(case.name, "")) for case in cases]


def test_only_spoiled_cases_are_repeated_and_only_once(monkeypatch: pytest.MonkeyPatch) -> None:
    scripted = Scripted({"hang-1s": "lag"}, {"hang-1s": "lag again"})
    monkeypatch.setattr(program, "_measured", scripted)
    cases = [case for case in all_cases() if case.name in ("hang-1s", "error-1s")]
    rows = {row.case: row for row in program.calibrate(cases, SystemClock())}
    assert scripted.asked == [["error-1s", "hang-1s"], ["hang-1s"]]
    assert (rows["hang-1s"].spoiled, rows["hang-1s"].repeated) == ("lag again", True)
    assert not rows["error-1s"].repeated


@pytest.mark.parametrize(("answers", "code"), [([{}], 0), ([{"hang-1s": "lag"}, {}], 0), ([{"hang-1s": "lag"}] * 2, 1)])
def test_it_exits_0_only_when_the_goal_is_met(
    answers: list[dict[str, str]], code: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(program, "_measured", Scripted(*answers))
    monkeypatch.chdir(tmp_path)
    assert program.main(["--only", "hang-1s"]) == code
    document = json.loads((tmp_path / "results" / "calibrate.json").read_text())
    assert document["met"] is (code == 0)
    assert document["rows"][0]["error"] == 0.0
    assert capsys.readouterr().out.splitlines()[-1].startswith("calibration " + ("met" if code == 0 else "NOT met"))


def test_a_run_that_was_refused_measures_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refused(*_: object) -> list[Row]:
        raise RefusedError("the platform is not steady")

    monkeypatch.setattr(program, "_measured", refused)
    monkeypatch.chdir(tmp_path)
    assert program.main([]) == program.EXIT_ERROR
    assert not (tmp_path / "results").exists()


def test_an_unknown_case_is_refused_with_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        program.main(["--only", "hang-7s"])
    assert "no case is called 'hang-7s'" in capsys.readouterr().err
