"""`junit.xml`: a test case for each cell that applies, so that every CI system can show a run."""

from __future__ import annotations

from xml.etree.ElementTree import Element, SubElement, indent, tostring

from orchestrator.report.view import troubles
from orchestrator.report.words import MOST_REASON, Cell, Report, clipped, numbers, printable, stretch

TAGS = {"FAIL": "failure", "INCONCLUSIVE": "error"}


def junit_xml(report: Report) -> str:
    """classname = fault, name = criterion; FAIL is a failure, INCONCLUSIVE an error; what does not apply is left out.

    A run that was not completed gets a case of its own, so that green cells do not make it look whole.
    """
    root = Element("testsuites")
    suite = SubElement(root, "testsuite", name=printable(report["title"]), timestamp=report["began"], time=f"{report['length_s']:.3f}")
    for cell in report["cells"]:
        if cell["verdict"] is not None:
            _case(suite, report, cell)
    for sentence in troubles(report):
        case = SubElement(suite, "testcase", classname="run", name="completed", time="0.000")
        SubElement(case, "error", type="INCONCLUSIVE", message=printable(sentence))
    _count(root, suite)
    indent(root)
    return f"<?xml version='1.0' encoding='utf-8'?>\n{tostring(root, encoding='unicode')}\n"


def _case(suite: Element, report: Report, cell: Cell) -> None:
    start, end = cell["window"] or (0.0, 0.0)
    case = SubElement(suite, "testcase", classname=printable(cell["fault"]), name=cell["criterion"], time=f"{end - start:.3f}")
    if cell["verdict"] == "PASS":
        SubElement(case, "system-out").text = _body(report, cell)
        return
    told = SubElement(case, TAGS[cell["verdict"]], type=cell["verdict"], message=printable(clipped(cell["because"], MOST_REASON)))
    told.text = _body(report, cell)


def _body(report: Report, cell: Cell) -> str:
    lines = [cell["because"], numbers(cell), stretch(report, cell["window"]), *cell["evidence"]]
    return printable("\n".join(line for line in lines if line))


def _count(root: Element, suite: Element) -> None:
    for element in (root, suite):
        element.set("tests", str(len(suite.findall("testcase"))))
        element.set("failures", str(len(suite.findall("testcase/failure"))))
        element.set("errors", str(len(suite.findall("testcase/error"))))
