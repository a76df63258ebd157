"""A report held against its row: turned, followed, stray, missing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from accuracy.matrix.comparison import OUR_TROUBLE, held_against
from accuracy.matrix.outcome import Outcome, Summary, as_results
from accuracy.matrix.reasons import REASONS
from accuracy.matrix.rows import CellName, Row, UnknownRowError, chosen, flaw_row
from sandbox.flaws import FLAWS

MEASURED = Path(__file__).resolve().parents[3] / "docs" / "measured" / "matrix.json"
FLAW: dict[str, Any] = {
    "name": "never-opens",
    "summary": "a breaker never opens",
    "fault": "partition",
    "criterion": "breakers",
    "expected": "FAIL",
    "may_follow": [{"fault": "partition", "criterion": "degradation"}],
    "experiment": "experiments/flaws/partition.json",
    "settings": {},
}
ROW = flaw_row(FLAW)
CONTROL = Row(name="control", kind="control", summary="", experiment="x.json")
SABOTAGE = Row(
    name="sabotage",
    kind="sabotage",
    summary="",
    experiment="x.json",
    cell=CellName("partition", "validity"),
    expected="INCONCLUSIVE",
    may_follow=frozenset({CellName("partition", "breakers")}),
    blameless=True,
)


def cell(criterion: str, verdict: str | None, because: str = "measured", fault: str = "partition") -> dict[str, Any]:
    return {"fault": fault, "criterion": criterion, "verdict": verdict, "because": because}


def report(*cells: dict[str, Any], ended: str = "completed") -> dict[str, Any]:
    return {"cells": list(cells), "ended": {"how": ended, "reason": ""}}


def test_the_cell_turned_and_nothing_else() -> None:
    held = held_against(ROW, report(cell("breakers", "FAIL"), cell("degradation", "PASS"), cell("refill", None)))
    assert (held.verdict, held.caught, held.followed, held.stray, held.good) == ("FAIL", True, (), (), True)


@pytest.mark.parametrize("verdict", ["FAIL", "INCONCLUSIVE"])
def test_a_declared_follower_is_fine_whatever_it_says(verdict: str) -> None:
    held = held_against(ROW, report(cell("breakers", "FAIL"), cell("degradation", verdict)))
    assert held.good
    assert [one.cell.criterion for one in held.followed] == ["degradation"]


@pytest.mark.parametrize("verdict", ["FAIL", "INCONCLUSIVE"])
def test_any_other_cell_is_stray_also_of_another_fault(verdict: str) -> None:
    held = held_against(ROW, report(cell("breakers", "FAIL"), cell("degradation", verdict, fault="baseline")))
    assert held.caught
    assert not held.good
    assert [str(one.cell) for one in held.stray] == ["baseline x degradation"]


@pytest.mark.parametrize("verdict", ["PASS", "INCONCLUSIVE", None])
def test_the_cell_must_turn_to_exactly_what_is_declared(verdict: str | None) -> None:
    held = held_against(ROW, report(cell("breakers", verdict)))
    assert not held.caught
    assert held.stray == ()


def test_a_report_without_the_cell_has_caught_nothing() -> None:
    held = held_against(ROW, report(cell("degradation", "FAIL")))
    assert (held.verdict, held.caught) == ("", False)


def test_a_control_is_good_only_when_no_cell_turned() -> None:
    assert held_against(CONTROL, report(cell("validity", "PASS"), cell("refill", None))).good
    assert not held_against(CONTROL, report(cell("validity", "INCONCLUSIVE"))).good


def test_a_sabotage_that_makes_the_platform_fail_is_a_stray_cell_even_where_it_may_follow() -> None:
    turned = cell("validity", "INCONCLUSIVE")
    assert held_against(SABOTAGE, report(turned, cell("breakers", "INCONCLUSIVE"))).good
    assert not held_against(SABOTAGE, report(turned, cell("breakers", "FAIL"))).good


def test_a_cell_that_turned_for_another_reason_is_not_caught() -> None:
    row = replace(SABOTAGE, reason="not felt")
    assert held_against(row, report(cell("validity", "INCONCLUSIVE", "late; its effect was not felt: x"))).good
    assert not held_against(row, report(cell("validity", "INCONCLUSIVE", "3 s generator-limited"))).caught


def test_a_long_reason_is_compared_whole_and_kept_short() -> None:
    row = replace(SABOTAGE, reason="not felt")
    held = held_against(row, report(cell("validity", "INCONCLUSIVE", "gap; " * 1000 + "not felt"), cell("breakers", "FAIL", "x" * 5000)))
    assert held.caught
    assert max(len(held.because), len(held.stray[0].because)) < 400


@pytest.mark.parametrize("words", OUR_TROUBLE)
def test_what_a_busy_machine_left_open_is_named_as_ours(words: str) -> None:
    spoiled = report(cell("breakers", "FAIL"), cell("validity", "INCONCLUSIVE", f"3 {words} x"))
    assert held_against(ROW, spoiled).ours


def test_our_trouble_counts_only_where_it_changed_what_was_declared() -> None:
    words = OUR_TROUBLE[0]
    follower = report(cell("breakers", "FAIL"), cell("degradation", "INCONCLUSIVE", words))
    missed = report(cell("breakers", "PASS"), cell("degradation", "INCONCLUSIVE", words))
    failed = report(cell("breakers", "FAIL"), cell("validity", "FAIL", words))
    other = report(cell("breakers", "FAIL"), cell("validity", "INCONCLUSIVE", "touched no traffic"))
    assert not any(held_against(ROW, one).ours for one in (follower, missed, failed, other))
    assert not held_against(SABOTAGE, report(cell("validity", "INCONCLUSIVE", words))).ours
    assert held_against(ROW, report(cell("breakers", "INCONCLUSIVE", words))).ours


def test_a_refused_run_says_nothing_about_its_row() -> None:
    assert held_against(ROW, report(cell("breakers", "INCONCLUSIVE", "never began"), ended="refused")).ours


def test_the_reasons_by_which_our_trouble_is_known_are_those_of_the_judge() -> None:
    """A changed word in the judge would silently end the one repetition."""
    import inspect

    from accuracy.matrix.sabotages import SABOTAGES
    from steady_state import blindness, starvation
    from steady_state.criteria import validity

    said = inspect.getsource(blindness) + inspect.getsource(starvation) + inspect.getsource(validity)
    reasons = [row.reason.removeprefix("replication ").removeprefix("pods ") for row in SABOTAGES]
    assert all(reasons)
    assert [words for words in (*OUR_TROUBLE, *reasons) if words not in said] == []


def outcome(row: Row, *cells: dict[str, Any]) -> Outcome:
    return Outcome(row, held_against(row, report(*cells)))


def test_the_goal_is_met_only_when_every_row_is_as_declared() -> None:
    caught, quiet = outcome(ROW, cell("breakers", "FAIL")), outcome(CONTROL, cell("breakers", "PASS"))
    missed, stray = outcome(ROW, cell("breakers", "PASS")), outcome(CONTROL, cell("breakers", "FAIL"))
    assert Summary([caught, quiet], planned=2).met
    assert not Summary([], planned=0).met
    assert not Summary([caught], planned=2).met
    assert not Summary([caught, quiet], planned=2, interrupted=True).met
    assert not Summary([caught, missed], planned=2).met
    assert not Summary([caught, stray], planned=2).met
    assert not Summary([caught, Outcome(CONTROL, None, problem="no report")], planned=2).met


def test_the_figure_counts_flaws_and_sabotages_and_every_stray_cell() -> None:
    rows = [
        outcome(ROW, cell("breakers", "FAIL"), cell("zero_downtime", "FAIL")),
        outcome(ROW, cell("breakers", "PASS")),
        outcome(CONTROL, cell("breakers", "PASS")),
    ]
    summary = Summary(rows, planned=3)
    assert summary.last_line() == "matrix: 1 of 2 caught, 1 stray cell"
    assert summary.controls_line() == "negative controls that turned nothing: 1 of 1"
    figures = as_results(summary, whole=True).figures
    assert (as_results(summary, whole=True).target, as_results(summary, whole=False).target) == ("matrix", "matrix-part")
    assert (figures["caught"], figures["of"], figures["stray_cells"], figures["controls_quiet"]) == (1, 2, 1, 1)
    assert Summary(rows[:1], planned=3, interrupted=True).last_line().endswith("(interrupted after 1 of 3 rows)")


def test_rows_are_chosen_by_name_in_the_order_of_the_matrix_and_a_wrong_name_is_refused() -> None:
    rows = [ROW, SABOTAGE, CONTROL]
    assert chosen(rows, []) == rows
    assert chosen(rows, ["control", "never-opens"]) == [ROW, CONTROL]
    with pytest.raises(UnknownRowError, match="'nonsense'"):
        chosen(rows, ["nonsense"])


def test_every_flaw_has_the_words_by_which_it_is_caught_and_the_measured_matrix_has_them() -> None:
    assert set(REASONS) == {flaw.name for flaw in FLAWS}
    measured = json.loads(MEASURED.read_text(encoding="utf-8"))
    because = {row["name"]: row["because"] for row in measured["rows"] if row["kind"] == "flaw"}
    assert {name for name, words in REASONS.items() if words not in because[name]} == set()
