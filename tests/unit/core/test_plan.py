"""The plan: every mistake is one sentence, and what is right has its exact instants."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from mutations import changes, mutate
from plan_mistakes import EXPERIMENTS, MISTAKES, full, with_foreign

from orchestrator.errors import PlanError
from orchestrator.plan import Plan, read_plan, scaled


def plan_of(document: Any, *, time_scale: float = 1, load_scale: float = 1) -> Plan:
    return scaled(read_plan(document), time_scale=time_scale, load_scale=load_scale)


@pytest.mark.parametrize("name", MISTAKES)
def test_each_mistake_is_one_sentence_with_key_problem_and_fix(name: str) -> None:
    change, words = MISTAKES[name]
    document = full()
    change(document)
    with pytest.raises(PlanError) as caught:
        plan_of(document)
    error = caught.value
    assert words in str(error)
    assert error.key
    assert error.problem
    assert error.fix
    assert "\n" not in str(error)


def test_there_is_a_wide_choice_of_mistakes() -> None:
    assert len(MISTAKES) >= 60


@pytest.mark.parametrize("document", [None, [], "text", 5, {}])
def test_what_is_no_experiment_at_all_is_refused(document: object) -> None:
    with pytest.raises(PlanError):
        plan_of(document)


def test_full_as_written_stands_at_the_minutes_of_the_specification() -> None:
    plan = plan_of(full())
    assert [(fault.kind, fault.at_s, fault.hold_s) for fault in plan.faults] == [
        ("pod_kill", 600, 0),
        ("link_latency", 1200, 180),
        ("replica_failure", 1800, 180),
        ("cache_flush", 2400, 0),
        ("partition", 3000, 180),
    ]
    assert (plan.length_s, plan.rate_per_s, plan.scale_time) == (3600, 1000, 1)


def test_full_fifteen_times_shorter_has_slots_of_forty_seconds() -> None:
    plan = plan_of(full(), time_scale=15, load_scale=10)
    assert [fault.at_s for fault in plan.faults] == [40, 80, 120, 160, 200]
    assert [fault.hold_s for fault in plan.faults] == [0, 12, 12, 0, 12]
    assert (plan.length_s, plan.rate_per_s, plan.scale_time, plan.scale_load) == (240, 100, 15, 10)


def test_a_scaled_hold_is_never_shorter_than_ten_seconds() -> None:
    document = full()
    document["method"][1]["provider"]["arguments"]["hold"] = "1m"
    assert plan_of(document, time_scale=15).fault("qdrant-latency").hold_s == 10


@pytest.mark.parametrize("name", ["smoke.json", "blackhole.json"])
def test_short_experiments_run_as_written_whatever_the_scale(name: str) -> None:
    document = json.loads((EXPERIMENTS / name).read_text(encoding="utf-8"))
    plan, written = plan_of(document, time_scale=15, load_scale=10), plan_of(document)
    assert plan.scale_time == 1
    assert (plan.length_s, plan.faults) == (written.length_s, written.faults)


def test_every_experiment_that_we_ship_is_valid() -> None:
    files = sorted(EXPERIMENTS.rglob("*.json"))
    assert len(files) >= 3
    for file in files:
        plan = plan_of(json.loads(file.read_text(encoding="utf-8")), time_scale=15, load_scale=10)
        assert bool(plan.faults) is (file.name != "observe.json")


def test_faults_may_overlap_where_that_is_meant() -> None:
    document = full()
    for number, activity in enumerate(document["method"][:-1]):
        activity["at"] = f"{60 + number}s"
    with pytest.raises(PlanError, match="to settle; move the faults apart"):
        plan_of(document)
    document["extensions"][0]["overlap"] = True
    assert plan_of(document).overlap
    document["method"][0]["at"] = "5s"
    with pytest.raises(PlanError, match="too early: a fault is prepared 12 s before"):
        plan_of(document)


@pytest.mark.parametrize(("time_scale", "words"), [(16, "28 s to settle"), (60, "28 s to settle"), (0.5, "0.5 is not a scale")])
def test_a_scale_whose_slots_are_too_short_is_refused(time_scale: float, words: str) -> None:
    with pytest.raises(PlanError, match=words):
        plan_of(full(), time_scale=time_scale)


@pytest.mark.parametrize("scale", [0, -1, float("nan"), float("inf"), 1e9])
def test_what_is_no_scale_is_refused(scale: float) -> None:
    for scales in ({"time_scale": scale}, {"load_scale": scale}):
        with pytest.raises(PlanError, match="is not a scale"):
            plan_of(full(), **scales)


def test_actions_of_other_extensions_stand_in_the_timeline_and_are_scaled() -> None:
    document = full()
    with_foreign()(document)
    assert plan_of(document, time_scale=15).foreign == {"drain": 60}


def test_the_file_may_list_faults_in_any_order() -> None:
    document = full()
    document["method"][:5] = reversed(document["method"][:5])
    assert plan_of(document) == plan_of(full())


def test_reading_changes_nothing_in_the_experiment() -> None:
    document = full()
    plan_of(document, time_scale=15)
    assert document == full()


@settings(max_examples=500, deadline=None)
@given(changes(full()))
def test_any_change_gives_a_plan_or_a_refusal_and_nothing_else(wanted: list[tuple[tuple[Any, ...], str, Any]]) -> None:
    document = full()
    mutate(document, wanted)
    plan, said = None, ""
    try:
        plan = plan_of(document, time_scale=15)
    except PlanError as error:
        said = str(error)
    assert "\n" not in said
    assert plan is None or plan.faults
    assert plan is None or all(fault.at_s >= 0 and fault.at_s + fault.hold_s <= plan.length_s for fault in plan.faults)
