"""The grid in a terminal: narrow enough, plain where asked, reasons below."""

from __future__ import annotations

import pytest
import report_cases as cases

from orchestrator.report.terminal import grid


def test_it_fits_a_hundred_columns_with_every_verdict_whole() -> None:
    for judgement in (cases.healthy(), cases.failing(), cases.inconclusive(), cases.killed(), cases.never_began()):
        report = cases.report_of(judgement)
        lines = grid(report, colour=False).splitlines()
        assert max(len(line) for line in lines) <= 100
        words = " ".join(table for table in "\n".join(lines).split("\n\n") if table.startswith("fault")).split()
        shown = {"PASS": "PASS", "FAIL": "FAIL", "INCONCLUSIVE": "INCONCL."}
        for verdict, word in shown.items():
            assert words.count(word) == report["counts"][verdict]


def test_criteria_that_do_not_fit_go_on_in_a_second_table_of_the_faults_they_ask() -> None:
    tables = [part for part in grid(cases.report_of(cases.healthy()), colour=False).split("\n\n") if part.startswith("fault")]
    rows = [[line.split()[0] for line in table.splitlines()[2:]] for table in tables]
    faults = ["pod_kill", "link_latency", "replica_failure", "cache_flush", "partition"]
    assert rows == [["baseline", *faults], faults]


def test_few_criteria_stay_in_one_table() -> None:
    report = cases.report_of(cases.healthy())
    report["cells"] = [cell for cell in report["cells"] if cell["criterion"] in ("zero_downtime", "recovery_time", "validity")]
    assert [part.split()[:4] for part in grid(report, colour=False).split("\n\n") if part.startswith("fault")] == [
        ["fault", "downtime", "recovery", "validity"]
    ]


def test_power_is_told_last() -> None:
    text = " ".join(grid(cases.report_of(cases.healthy()), colour=False).split())
    assert text.index("Power: an outage") > text.index("partition")
    assert "One PASS proves little: a platform that passes only 1 run in 40 can show it" in text


def test_reasons_stand_below_with_the_first_failing_request() -> None:
    text = " ".join(grid(cases.report_of(cases.failing()), colour=False).split())
    assert "FAIL pod_kill x zero_downtime: content down 2.0 s" in text
    assert "first failing request of pod_kill: 41.0" in text


def test_one_reason_for_many_cells_is_told_once() -> None:
    text = " ".join(grid(cases.report_of(cases.killed()), colour=False).split())
    assert text.count("not injected: the run ended") == 2
    assert "The run was not completed (cut off" in text


def test_it_is_plain_without_a_terminal_and_with_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    report = cases.report_of(cases.failing())
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b" not in grid(report, colour=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[" in grid(report)
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in grid(report)


def test_strings_of_the_platform_do_not_reach_the_terminal_as_commands() -> None:
    text = grid(cases.with_hostile_strings(cases.report_of(cases.failing())), colour=False)
    assert "\x1b" not in text
    assert "[31m red" in text


def test_an_endless_reason_is_cut() -> None:
    report = cases.report_of(cases.failing())
    report["cells"][0] |= {"verdict": "INCONCLUSIVE", "because": "nothing was seen; " * 1000}
    text = grid(report, colour=False)
    assert len(text) < 4000
    assert "… (cut)" in " ".join(text.split())
