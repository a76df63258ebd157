"""Placebos: they keep their room, share what the watched history knows, and alarm exactly where something broke."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic import LENGTH_S, MINUTE_0, Synthetic, five_faults, plan_of, quiet

from steady_state.history import History
from steady_state.judge import BASELINE, Judgement, judge
from steady_state.judged_plan import JudgedPlan
from steady_state.placebo import (
    FIRST_AFTER_S,
    LEFT_OUT,
    ROOM_S,
    NoRoomError,
    placebo_faults,
    placebo_history,
    placebo_recording,
)
from steady_state.verdict import Verdict


def watched() -> Synthetic:
    """A run without a fault on a platform that holds."""
    run = quiet()
    run.plan = plan_of([])
    run.faults = []
    return run


def judged(history: History, seed: int) -> Judgement:
    return judge(placebo_history(history, five_faults(), random.Random(seed).random))


def alarming(judgement: Judgement) -> set[tuple[str, str]]:
    return {
        (cell.fault, cell.criterion)
        for cell in judgement.cells
        if cell.fault != BASELINE and cell.finding is not None and cell.finding.verdict is Verdict.FAIL
    }


@given(st.integers())
def test_every_placebo_has_its_hold_and_its_room_inside_the_timeline(seed: int) -> None:
    faults = placebo_faults(plan_of([]), five_faults(), random.Random(seed).random)
    assert sorted(fault.name for fault in faults) == sorted(fault.name for fault in five_faults())
    assert faults[0].at_s >= FIRST_AFTER_S
    ends = [fault.at_s for fault in faults[1:]] + [LENGTH_S]
    assert all(end - fault.at_s >= fault.hold_s + ROOM_S - 1e-6 for fault, end in zip(faults, ends, strict=True))


def test_orders_and_instants_differ_by_seed_and_only_by_it() -> None:
    def drawn(seed: int) -> list[tuple[str, float]]:
        return [(fault.name, fault.at_s) for fault in placebo_faults(plan_of([]), five_faults(), random.Random(seed).random)]

    assert drawn(1) == drawn(1)
    assert len({tuple(name for name, _ in drawn(seed)) for seed in range(30)}) > 15
    assert len({drawn(seed)[0][1] for seed in range(30)}) == 30


def test_a_timeline_without_room_is_refused_with_what_is_missing() -> None:
    with pytest.raises(NoRoomError, match=r"need 88\.0 s more than the 100 s"):
        placebo_faults(plan_of([], length_s=100.0), five_faults(), random.Random(1).random)


def test_nothing_is_excused_and_no_breaker_may_open() -> None:
    for fault in placebo_faults(plan_of([]), five_faults(), random.Random(1).random):
        assert not fault.fallback_expected
        assert {rule.rule for rule in fault.breakers} <= {"must_stay_closed"}
        assert set(fault.not_applicable) == set(LEFT_OUT)


def test_what_the_target_cannot_show_is_left_out() -> None:
    plan: JudgedPlan = plan_of([], sync_route=None)
    faults = placebo_faults(plan, five_faults(), random.Random(1).random, counted=False)
    assert all({"delivery", "amplification"} < set(fault.not_applicable) for fault in faults)


def test_a_platform_that_holds_gives_no_alarm_under_any_seed() -> None:
    history = watched().history()
    for seed in range(8):
        found = {
            (cell.fault, cell.criterion): cell.finding.because
            for cell in judged(history, seed).cells
            if cell.finding is not None and cell.finding.verdict is Verdict.FAIL
        }
        assert found == {}


def test_every_criterion_that_needs_no_fault_passes_in_every_placebo_window() -> None:
    cells = [cell for cell in judged(watched().history(), 3).cells if cell.fault != BASELINE and cell.finding is not None]
    named = {"zero_downtime", "recovery_time", "error_rate_during", "error_rate_after", "degradation", "breakers"}
    seen = [cell for cell in cells if cell.criterion in named]
    assert len(seen) == 5 * len(named)
    assert [(cell.fault, cell.criterion, cell.finding) for cell in seen if cell.finding and cell.finding.verdict is not Verdict.PASS] == []


@pytest.mark.parametrize("seed", range(6))
def test_an_outage_alarms_in_the_placebo_window_that_holds_it_and_in_no_other(seed: int) -> None:
    history = watched().with_failures("search", 100.0, 103.0).history()
    judgement = judged(history, seed)
    holding = [window.name for window in judgement.windows if window.injected <= MINUTE_0 + 100.0 < window.end]
    baseline = {cell.fault for cell in judgement.cells if cell.finding is not None and cell.finding.verdict is Verdict.FAIL}
    assert {fault for fault, _ in alarming(judgement)} == set(holding)
    assert baseline == set(holding or [BASELINE])
    assert all((fault, "zero_downtime") in alarming(judgement) for fault in holding)


def test_an_opened_breaker_is_an_alarm() -> None:
    history = watched().with_breaker("sync->pubnub", "sync-0", (150.0, "open"), (155.0, "closed")).history()
    assert "breakers" in {criterion for _, criterion in alarming(judged(history, 2))}


def test_sharing_the_columns_changes_no_cell() -> None:
    run = watched().with_failures("search", 100.0, 103.0)
    history = run.history()
    judged(history, 8)
    again = run.history()
    fresh = History(placebo_recording(again.recording, five_faults(), random.Random(9).random, again.timeline))
    assert judged(history, 9).cells == judge(fresh).cells


def test_the_plan_the_recording_and_the_faults_tell_of_the_same_placebos() -> None:
    history = placebo_history(watched().history(), five_faults(), random.Random(5).random)
    assert history.plan is history.recording.plan
    assert [fault.fault for fault in history.faults] == history.plan.faults


def test_the_watched_history_is_left_as_it_was() -> None:
    history = watched().history()
    before = replace(history.recording)
    judged(history, 4)
    assert history.recording == before
    assert history.faults == []
    assert history.plan.faults == []
