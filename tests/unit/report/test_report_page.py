"""`report.html`: complete, escaped, closed in itself, and the same for the same input."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
import report_cases as cases
from page_reader import PageReader

from orchestrator.report.explanations import explanations
from orchestrator.report.glossary import GLOSSARY
from orchestrator.report.page import page
from orchestrator.report.picture import picture
from orchestrator.report.words import HEADINGS
from steady_state.judge import CRITERIA, Judgement


def page_of(judgement: Judgement, *, drawn: str = "<svg></svg>") -> str:
    return page(cases.report_of(judgement), explanations(judgement), drawn)


def grid_of(text: str) -> dict[str, list[str]]:
    """Fault -> the texts of its cells."""
    return {row[0].strip(): [" ".join(cell.split()) for cell in row[1:]] for row in PageReader(text).tables[0]}


def test_the_grid_shows_every_cell_with_its_verdict_and_figure() -> None:
    grid = grid_of(page_of(cases.failing()))
    columns = grid["fault"]
    for cell in cases.report_of(cases.failing())["cells"]:
        assert cell["verdict"] in grid[cell["fault"]][columns.index(HEADINGS[cell["criterion"]])]
    assert grid["pod_kill"][0] == "✗ FAIL 2.0 s limit 1 s"


def test_a_cell_that_does_not_apply_is_a_dash_and_its_reason_is_in_words() -> None:
    text = page_of(cases.inconclusive())
    assert grid_of(text)["partition"][3] == "– not applicable"
    assert "partition × degradation does not apply: <script>" in PageReader(text).text


@pytest.mark.parametrize("judged", [cases.healthy, cases.failing, cases.inconclusive, cases.killed, cases.never_began])
def test_every_cell_stands_in_the_table_of_all_cells(judged: Callable[[], Judgement]) -> None:
    report = cases.report_of(judged())
    rows = PageReader(page_of(judged())).tables[-1][1:]
    told = [(row[0].strip(), row[1].strip(), row[2].split(maxsplit=1)[1].strip()) for row in rows]
    assert told == [(cell["fault"], cell["criterion"], cell["verdict"] or "not applicable") for cell in report["cells"]]


@pytest.mark.parametrize("criterion", list(CRITERIA))
def test_every_criterion_has_a_heading_and_a_word_of_its_own(criterion: str) -> None:
    assert criterion in HEADINGS
    assert any(term.startswith(HEADINGS[criterion]) or criterion in term or term in HEADINGS[criterion] for term, _, _ in GLOSSARY)


def test_an_old_report_with_fewer_criteria_and_without_power_is_rendered() -> None:
    report = cases.report_of(cases.failing())
    del report["power"]
    report["cells"] = [cell for cell in report["cells"] if cell["criterion"] not in ("delivery", "refill", "amplification", "state_kept")]
    text = page(report, explanations(cases.failing()), "<svg></svg>")
    assert HEADINGS["refill"] not in grid_of(text)["fault"]
    assert "Power: what could have been seen" not in PageReader(text).text


def test_power_is_told_for_each_window_and_route() -> None:
    tables = PageReader(page_of(cases.healthy())).tables
    rows = next(table for table in tables if "worst 10 s" in "".join(table[0]))
    cells = {row[0].strip(): [cell.strip() for cell in row[1:]] for row in rows[1:]}
    assert [cell.strip() for cell in rows[0][5:]] == ["content", "recommendations", "search", "watchlist"]
    assert cells["baseline"] == ["0.12% of 4,000", "0.7%", "–", "–", "1.2% of 400", "0.59% of 800", "0.2% of 2,400", "1.2% of 400"]
    assert cells["pod_kill"][2:4] == ["0.47% of 1,000", "6.2%"]
    assert cells["shortest outage always seen"][1:] == ["0.30 s", "0.20 s", "0.08 s", "0.30 s"]


def test_the_trial_is_the_first_thing_that_is_said() -> None:
    report = cases.report_of(cases.healthy())
    words = PageReader(page_of(cases.healthy())).text
    assert words.index("A trial, not a test") < words.index(report["title"], words.index("A trial"))
    report |= {"trial": ""}
    assert "trial" not in PageReader(page(report, {}, "<svg></svg>")).text


def test_a_red_result_explains_itself_before_anything_else_is_told() -> None:
    words = PageReader(page_of(cases.failing())).text
    why = words[words.index("Why") : words.index("Exposure: requests")]
    assert "content down 2.0 s: 40 requests in a row not served" in why
    assert "First failing request 41.0" in why
    assert "load, content: server_error 503 from api-gateway-0" in why
    assert "Last second before it in which every request was served: 40." in why


def test_a_green_result_has_nothing_to_explain() -> None:
    assert "Why" not in PageReader(page_of(cases.healthy())).text


def test_a_run_that_was_cut_off_says_so_at_the_top() -> None:
    words = PageReader(page_of(cases.killed())).text
    assert words.index("The run was not completed (cut off") < words.index("baseline")


def test_strings_of_the_platform_are_text() -> None:
    hostile = cases.with_hostile_strings(cases.report_of(cases.failing()))
    text = page(hostile, explanations(cases.failing()), "<svg></svg>")
    assert "script" not in {tag for tag, _ in PageReader(text).tags}
    assert "&lt;script&gt;" in text
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f]", text)


def test_the_page_loads_nothing_and_runs_nothing() -> None:
    reader = PageReader(page_of(cases.failing(), drawn=picture(cases.failing())))
    names = {tag for tag, _ in reader.tags}
    assert "svg" in names
    assert not names & {"script", "link", "iframe", "img", "object", "embed"}
    loaded = [value for _, attributes in reader.tags for name, value in attributes.items() if name in ("src", "href", "xlink:href", "data")]
    assert loaded  # the drawing refers to its own parts
    assert [value for value in loaded if value is None or not value.startswith("#")] == []
    assert not any(name.startswith("on") for _, attributes in reader.tags for name in attributes)


def test_every_tag_is_closed() -> None:
    assert PageReader(page_of(cases.inconclusive(), drawn=picture(cases.inconclusive()))).open == []


def test_measurements_come_in_the_order_of_the_hour() -> None:
    tables = PageReader(page_of(cases.healthy())).tables
    rows = next(table for table in tables if "due" in "".join(table[0]))
    order = ["baseline", "pod_kill", "link_latency", "replica_failure", "cache_flush", "partition"]
    assert [row[0].strip() for row in rows[1:]] == order


def test_breaker_and_pod_changes_are_listed_with_their_instants() -> None:
    words = PageReader(page_of(cases.healthy())).text
    assert "40.050 s pod_kill discovery discovery-0 gone" in words
    assert "201.500 s partition sync->pubnub sync-0 open" in words


def test_words_in_place_of_the_picture_are_escaped() -> None:
    assert "drawn: &lt;b&gt;" in page_of(cases.healthy(), drawn="The picture could not be drawn: <b>")


def test_the_same_input_gives_the_same_bytes() -> None:
    assert page_of(cases.failing()) == page_of(cases.failing())
