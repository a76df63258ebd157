"""`junit.xml`: a case a cell, FAIL a failure, INCONCLUSIVE an error."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import report_cases as cases

from orchestrator.report.junit import junit_xml


def suite_of(report: dict[str, Any]) -> ElementTree.Element:
    suite = ElementTree.fromstring(junit_xml(report)).find("testsuite")
    assert suite is not None
    return suite


def kinds(suite: ElementTree.Element) -> dict[tuple[str, str], str]:
    """(classname, name) -> tag of what the case holds."""
    return {(case.attrib["classname"], case.attrib["name"]): case[0].tag for case in suite.findall("testcase")}


def test_every_cell_that_applies_is_a_case() -> None:
    tags = {"PASS": "system-out", "FAIL": "failure", "INCONCLUSIVE": "error"}
    for judgement in (cases.healthy(), cases.failing(), cases.inconclusive()):
        report = cases.report_of(judgement)
        wanted = {(cell["fault"], cell["criterion"]): tags[cell["verdict"]] for cell in report["cells"] if cell["verdict"]}
        assert kinds(suite_of(report)) == wanted


def test_a_cell_that_does_not_apply_is_not_exported() -> None:
    assert ("partition", "degradation") not in kinds(suite_of(cases.report_of(cases.inconclusive())))


def test_the_counts_are_those_of_the_cases() -> None:
    suite = suite_of(cases.report_of(cases.failing()))
    assert int(suite.attrib["tests"]) == len(suite.findall("testcase"))
    assert int(suite.attrib["failures"]) == len(suite.findall("testcase/failure")) == 4
    assert suite.attrib["errors"] == "0"


def test_a_failure_holds_its_evidence_and_its_window() -> None:
    suite = suite_of(cases.report_of(cases.failing()))
    case = next(one for one in suite.findall("testcase") if (one.attrib["classname"], one.attrib["name"]) == ("partition", "breakers"))
    failure = case.find("failure")
    assert failure is not None
    assert "never opened on sync-0" in failure.attrib["message"]
    assert "sync->pubnub opened on sync-1" in (failure.text or "")
    assert "200.0 s to 240.0 s (minute 50.0 to 60.0)" in (failure.text or "")
    assert case.attrib["time"] == "39.998"


def test_a_run_that_was_cut_off_is_an_error_of_its_own() -> None:
    assert kinds(suite_of(cases.report_of(cases.killed())))["run", "completed"] == "error"


def test_control_characters_leave_valid_xml() -> None:
    suite = suite_of(cases.with_hostile_strings(cases.report_of(cases.failing())))
    assert '<script>alert("x")</script>' in suite.attrib["name"]
    assert "\x1b" not in "".join(suite.itertext())


def test_the_same_input_gives_the_same_bytes() -> None:
    assert junit_xml(cases.report_of(cases.failing())) == junit_xml(cases.report_of(cases.failing()))
