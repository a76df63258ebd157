"""`orchestrator explain` and pooled runs on the terminal, and the command line around them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
import report_cases as cases
import synthetic

from orchestrator.__main__ import main
from orchestrator.explain import alike, nothing, screen
from orchestrator.report.pooled import pooled
from orchestrator.report.power_words import power_sentences, share
from steady_state import observations as obs
from steady_state.explanation import explain, unproven_cells
from steady_state.judge import Judgement
from steady_state.pooling import pool

ONE_SCREEN = 45
"""Lines of a terminal window."""


def screens_of(judgement: Judgement) -> list[str]:
    groups = alike(unproven_cells(judgement))
    return [screen(explain(judgement, same[0]), [one.criterion for one in same], colour=False) for same in groups]


def saved(folder: Path, run: synthetic.Synthetic) -> Path:
    """A run directory whose id is the folder's name."""

    def rename(line: obs.Observation) -> Iterable[obs.Observation]:
        return [line.model_copy(update={"run_id": folder.name}) if isinstance(line, obs.RunLine) else line]

    folder.mkdir()
    (folder / "recording.jsonl").write_text("\n".join(run.with_change(rename).texts()) + "\n", encoding="utf-8")
    return folder


def test_a_red_cell_is_one_screen_with_the_request_the_second_and_the_samplers() -> None:
    first = screens_of(cases.failing())[0]
    words = " ".join(first.split())
    assert "pod_kill x zero_downtime ✗ FAIL content down 2.0 s" in words
    assert "[2.0 s, limit 1.0 s]" in words
    assert "first failing 41.004 s, load, content: server_error 503 from api-gateway-0" in words
    assert "last healthy second 40" in words
    assert "20 x content server_error (load, 41.0 to 42.9 s)" in words
    assert "discovery: fewer than 2 ready from 40.05 s to 44.00 s" in words
    assert "none: no gap, no lag of the generator; CPU steal was not recorded" in words


def test_every_screen_fits_and_is_free_of_control_characters() -> None:
    for judged in (cases.failing, cases.inconclusive, cases.killed, cases.never_began):
        for one in screens_of(judged()):
            lines = one.splitlines()
            assert len(lines) <= ONE_SCREEN
            assert max(map(len, lines)) <= 100
            assert "\x1b" not in one
            assert "\x00" not in one


def test_cells_that_one_reason_spoils_share_a_screen() -> None:
    groups = [[cell.criterion for cell in same] for same in alike(unproven_cells(cases.never_began())) if same[0].fault == "partition"]
    assert len(groups) == 1
    assert {"zero_downtime", "delivery", "validity"} <= set(groups[0])


def test_lag_is_no_longer_called_none() -> None:
    words = " ".join(screens_of(synthetic.healthy().with_lag(70.0, 40).judged())[0].split())
    assert "reasons of our own the generator of source load lagged in 1 s" in words
    assert "none: no gap" not in words


def test_a_green_run_has_nothing_to_explain_and_a_cut_one_says_what_is_amiss() -> None:
    assert nothing(cases.healthy()) == "Nothing to explain: all 58 cells of run synthetic are PASS."
    aborted = synthetic.healthy().with_change(
        lambda line: [line.model_copy(update={"ended": "aborted", "reason": "by hand"}) if isinstance(line, obs.EndLine) else line]
    )
    assert nothing(aborted.judged()).endswith("needs an explanation, but the run is INCONCLUSIVE: it ended as aborted (by hand).")


def test_the_command_explains_all_cells_or_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    red = saved(tmp_path / "red", synthetic.healthy().with_failures("content", 41.0, 43.0))
    assert main(["explain", str(red)]) == 0
    assert "pod_kill x zero_downtime" in capsys.readouterr().out
    assert main(["explain", str(red), "--cell", "partition/breakers"]) == 0
    shown = capsys.readouterr().out
    assert "partition x breakers" in shown
    assert "pod_kill" not in shown
    assert main(["explain", str(saved(tmp_path / "green", synthetic.healthy()))]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_a_wrong_path_or_cell_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", str(tmp_path)]) == 3
    assert capsys.readouterr().err.strip().endswith("is not a run directory: it has no recording.jsonl")
    red = saved(tmp_path / "red", synthetic.healthy().with_failures("content", 41.0, 43.0))
    assert main(["explain", str(red), "--cell", "pod_kill/speed"]) == 3
    sentence = capsys.readouterr().err.strip()
    assert sentence.startswith("orchestrator: no cell is called 'pod_kill/speed'; choose one of pod_kill/zero_downtime")
    assert len(sentence.splitlines()) == 1


def test_several_runs_are_pooled_and_nothing_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    green, red = (
        saved(tmp_path / "green", synthetic.healthy()),
        saved(tmp_path / "red", synthetic.healthy().with_failures("content", 41, 43)),
    )
    assert main(["judge", str(green), str(red)]) == 1
    out = capsys.readouterr().out
    assert out.splitlines()[-1] == "verdict=FAIL exit=1 runs=2"
    words = " ".join(out.split())
    assert "all the whole run 1 of 2 0 1.3% to 99%" in words
    assert "too few runs" in words
    assert [path.name for folder in (green, red) for path in folder.iterdir()] == ["recording.jsonl"] * 2


def test_one_run_is_judged_as_before(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    red = saved(tmp_path / "red", synthetic.healthy().with_failures("content", 41.0, 43.0))
    assert main(["judge", str(red)]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == f"verdict=FAIL exit=1 run={red}"
    assert main(["judge", "--check", str(red)]) == 0


@pytest.mark.parametrize("extra", [["--check"], []])
def test_runs_that_cannot_be_pooled_are_refused_in_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str], extra: list[str]) -> None:
    one = saved(tmp_path / "one", synthetic.healthy())
    assert main(["judge", *extra, str(one), str(one)]) == 3
    found = capsys.readouterr()
    assert found.out == ""
    assert len(found.err.strip().splitlines()) == 1


def test_six_runs_give_an_interval_and_an_unseen_end_is_more_than(tmp_path: Path) -> None:
    def named(place: int, run: synthetic.Synthetic) -> Judgement:
        return run.with_change(
            lambda line: [line.model_copy(update={"run_id": f"run-{place}"}) if isinstance(line, obs.RunLine) else line]
        ).judged()

    lone = synthetic.quiet("pod_kill", length_s=240)
    never = lone.with_ready("discovery", (40.05, 1))
    text = pooled(pool([*(named(place, lone) for place in range(5)), named(5, never)]), colour=False)
    assert "0.0 s to more than 200.0 s" in " ".join(text.split())
    assert "too few" not in text
    assert "5 of 6 runs passed: between 36% and 100% of runs to come." in text


def test_power_in_words() -> None:
    seen, proves = power_sentences(cases.report_of(cases.failing()))
    assert seen.startswith("Power: an outage (a route answers nothing) of 0.30 s (")
    assert "one of 1.05 s always fails" in seen
    assert proves == "One FAIL proves that it can fail, not how often: between 2.5% and 100% of runs (95% interval)."
    assert power_sentences(cases.report_of(cases.never_began()))[1].startswith("One INCONCLUSIVE run says nothing")
    assert power_sentences({"verdict": "PASS"}) == []
    assert (share(0.00123456), share(0.5), share(1.0), share(None)) == ("0.12%", "50%", "100%", "–")
