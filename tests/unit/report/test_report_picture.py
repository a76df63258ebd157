"""The picture of the hour: every panel, whatever was seen, and the same bytes every time."""

from __future__ import annotations

import math
from xml.etree import ElementTree

import pytest
import report_cases as cases
import synthetic

from orchestrator.report import series
from orchestrator.report.marks import marks
from orchestrator.report.panels import MOST_LANES, shown
from orchestrator.report.picture import picture
from steady_state import observations as obs
from steady_state.judge import Judgement

PANELS = ["faults", "failed requests", "error rate", "search", "recommendations", "watchlist", "content", "breakers", "ready replicas"]


def texts(svg: str) -> list[str]:
    return [text for element in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text") for text in element.itertext()]


def axis_of(judgement: Judgement) -> series.Axis:
    return series.Axis.of(judgement.history)


def test_every_panel_and_every_fault_has_its_name() -> None:
    words = [text.strip() for text in texts(picture(cases.healthy()))]
    assert set(PANELS) | {"cache hit rate", "sync latency"} <= set(words)
    assert {fault.name for fault in cases.healthy().history.plan.faults if fault.name in words} == {
        "pod_kill",
        "link_latency",
        "replica_failure",
        "cache_flush",
        "partition",
    }


def test_a_run_without_minute_0_has_no_picture() -> None:
    assert picture(cases.never_began()) == ""


def test_what_was_not_seen_is_said_and_does_not_spoil_the_rest() -> None:
    unseen = (obs.TallyLine, obs.BreakerLine, obs.PodsLine, obs.ReplicationLine, obs.CacheLine, obs.OperationLine)
    words = texts(picture(synthetic.healthy().without(lambda line: isinstance(line, unseen)).judged()))
    told = {"no breaker was read", "no workload's number of ready replicas changed", "the cache was not read", "no sync operation was seen"}
    assert told | {"faults", "error rate"} <= set(words)


def test_every_operation_lost_is_a_picture_too() -> None:
    run = synthetic.healthy().without(lambda line: isinstance(line, obs.DeliveryLine))
    assert "lost (240)" in texts(picture(run.judged()))


def test_names_are_escaped_and_dollars_are_no_formulas() -> None:
    run = synthetic.healthy().with_breaker("<b>$x_1$</b>", "sync-0")
    assert any("<b>$x_1$</b>" in text for text in texts(picture(run.judged())))


def test_failures_and_latencies_stand_in_their_second() -> None:
    history, axis = cases.failing().history, axis_of(cases.failing())
    errors = series.errors(history, axis)
    assert errors.failed_per_s[39] == 0
    assert errors.failed_per_s[41] == pytest.approx(25, abs=2)  # all of content, half of search from 41.5 s on
    assert errors.failed_ratio[41] == pytest.approx(0.25, abs=0.02)
    content = series.latencies_ms(history, axis)["content"]
    assert content[0.95][10] == pytest.approx(20, rel=0.01)
    assert math.isnan(content[0.95][41])


def test_an_hour_is_aggregated_to_about_a_thousand_points() -> None:
    axis = series.Axis(origin=0.0, length_s=3600.0, minutes_per_s=1 / 60, bin_s=4)
    assert axis.bins == 900
    assert axis.bin(3599.9) == 899
    assert axis.bin(3600.0) is None
    assert axis.x(1800.0) == 30.0


def test_lanes_show_each_breaker_while_its_pod_is_there() -> None:
    lanes = series.lanes(cases.healthy().history, axis_of(cases.healthy()))
    assert [(lane.breaker, lane.replica, lane.moved) for lane in lanes] == [
        ("gateway->discovery", "api-gateway-0", False),
        ("gateway->discovery", "api-gateway-1", False),
        ("sync->pubnub", "sync-0", True),
        ("sync->pubnub", "sync-1", True),
    ]
    assert [(round(start * 4, 3), round(end * 4, 3), state) for start, end, state in lanes[2].states] == [
        (0.0, 201.5, "closed"),
        (201.5, 214.0, "open"),
        (214.0, 215.0, "half_open"),
        (215.0, 240.0, "closed"),
    ]


def test_too_many_lanes_leave_those_that_moved() -> None:
    still = [series.Lane("b", str(number), [(0.0, 1.0, "closed")]) for number in range(MOST_LANES)]
    moved = series.Lane("b", "moved", [(0.0, 1.0, "open")])
    assert moved in shown([*still, moved])
    assert len(shown([*still, moved])) == MOST_LANES


def test_only_workloads_that_changed_are_drawn() -> None:
    lines = series.ready_replicas(cases.healthy().history, axis_of(cases.healthy()))
    assert [line.name for line in lines] == ["discovery", "postgresql-replica", "standbys"]
    assert lines[0].y == [2.0, 1.0, 2.0, 2.0]


def test_lost_operations_are_marked_and_queued_ones_told_apart() -> None:
    run = synthetic.healthy().without(lambda line: isinstance(line, obs.DeliveryLine) and line.number == 50)
    judgement = run.judged()
    seen = series.operations(judgement.history, axis_of(judgement))
    assert [round(x * 4, 1) for x in seen.lost] == [30.4]
    assert len(seen.queued) == 14
    assert len(seen.straight) == 240 - 14 - 1


def test_a_cache_counter_that_starts_again_is_a_hole() -> None:
    run = synthetic.healthy().with_line(obs.CacheLine(t=synthetic.MINUTE_0 + 100.9, hits=0, misses=0, flushes=0, keys=0))
    line = series.cache_hit_ratio(run.history(), axis_of(run.judged()))
    assert line.y[99] == 0.75
    assert math.isnan(line.y[100])


def test_marks_run_from_injection_over_heal_to_recovery() -> None:
    found = marks(cases.healthy(), axis_of(cases.healthy()))
    held = found[2]
    assert [round(4 * value, 1) for value in (held.injected, held.healed, held.recovered)] == [120.0, 132.1, 135.4]
    assert {mark.row for mark in found} == {0}
