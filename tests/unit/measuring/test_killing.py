"""The kill test's moments: as many as asked, over all phases of the run and all steps of all five faults."""

from __future__ import annotations

import json
from pathlib import Path

from accuracy.killing.moments import AFTER, BEFORE, FAULTS, JUDGING, STEPS, Moment, moments

EXPERIMENT = Path(__file__).resolve().parents[3] / "experiments" / "overlap.json"


def test_sixty_kills_meet_every_phase_and_every_step_of_every_fault() -> None:
    found = moments(60)
    assert len(found) == 60
    assert {one.step for one in found if not one.fault} == {*BEFORE, *AFTER}
    assert {(one.fault, one.step) for one in found if one.fault} == {(fault, step) for fault in FAULTS for step in STEPS}


def test_ten_kills_meet_every_fault_and_most_steps() -> None:
    found = moments(10)
    assert len(found) == 10
    assert {one.fault for one in found} >= set(FAULTS)
    assert len({one.step for one in found if one.fault} & set(STEPS)) >= 6


def test_the_same_moment_is_met_again_with_another_delay() -> None:
    first, again = moments(80)[:2]
    assert (first.step, first.fault) == (again.step, again.fault)
    assert first.delay_s != again.delay_s


def test_a_moment_knows_its_line() -> None:
    line = {"kind": "fault", "phase": "proof", "fault": "pod-kill"}
    assert Moment("proof", "pod-kill").is_in(line)
    assert not Moment("proof", "cache-flush").is_in(line)
    assert not Moment("proof").is_in(line)
    assert Moment(JUDGING).is_in({"kind": "finished", "ended": "completed"})
    assert not Moment(JUDGING).is_in(line)
    assert Moment("draining").is_in({"kind": "phase", "phase": "draining"})


def test_its_faults_are_those_of_the_experiment_that_it_kills() -> None:
    method = json.loads(EXPERIMENT.read_text(encoding="utf-8"))["method"]
    assert sorted(entry["name"] for entry in method if entry["type"] == "action") == sorted(FAULTS)
