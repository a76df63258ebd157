"""`report.md`: a table that CI systems render, and reasons in which nothing is markup."""

from __future__ import annotations

import re

import report_cases as cases

from orchestrator.report.explanations import explanations
from orchestrator.report.markdown import markdown
from steady_state.judge import CRITERIA, Judgement


def text_of(judgement: Judgement) -> str:
    return markdown(cases.report_of(judgement), explanations(judgement))


def rows_of(text: str) -> list[list[str]]:
    """The table's rows, split at pipes that are not escaped."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[part.strip() for part in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def test_every_row_has_as_many_cells_as_the_heading() -> None:
    for judgement in (cases.healthy(), cases.failing(), cases.inconclusive(), cases.never_began()):
        rows = rows_of(text_of(judgement))
        assert {len(row) for row in rows} == {1 + len(CRITERIA)}
        assert len(rows) == 2 + 6


def test_a_pipe_in_a_name_does_not_end_a_cell() -> None:
    report = cases.report_of(cases.healthy())
    for cell in report["cells"]:
        cell["fault"] = f"{cell['fault']}|x"
    assert {len(row) for row in rows_of(markdown(report, {}))} == {1 + len(CRITERIA)}


def test_it_tells_trial_verdict_reason_and_first_failing_request() -> None:
    text = text_of(cases.failing())
    assert text.startswith("> **A trial")
    assert "# ✗ FAIL: synthetic" in text
    assert "✗ **FAIL pod\\_kill × zero\\_downtime**: content down 2.0 s" in text
    assert "last healthy second: 40" in text


def test_it_tells_what_could_have_been_seen() -> None:
    text = text_of(cases.healthy())
    assert "Power: an outage (a route answers nothing) of 0.30 s" in text
    assert "One PASS proves little" in text


def test_a_report_of_before_power_is_rendered_too() -> None:
    report = cases.report_of(cases.healthy())
    del report["power"]
    assert "Power" not in markdown(report, {})


def test_nothing_of_the_platform_is_markup() -> None:
    report = cases.with_hostile_strings(cases.report_of(cases.failing()))
    text = markdown(report, explanations(cases.failing()))
    assert "<script>" not in text
    assert "\\*c\\*" in text
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f]", text)


def test_a_dash_where_a_cell_does_not_apply() -> None:
    text = text_of(cases.inconclusive())
    assert next(row for row in rows_of(text) if row[0] == "partition")[4] == "–"
    assert "partition × degradation does not apply" in text
