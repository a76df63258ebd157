"""The calibration's script and truth: what the target does when, and what must therefore be found."""

from __future__ import annotations

import pytest

from accuracy.calibrate.cases import LENGTHS_S, RATE_PER_S, all_cases
from accuracy.calibrate.description import description_of, plan_of, script_of
from accuracy.calibrate.ledger import Ledger, read_ledger
from accuracy.calibrate.timetable import BreakerStep, BreakerTimetable, Phase, RouteTimetable
from accuracy.calibrate.truth import Counted, count
from orchestrator.load.profile import plan_load
from steady_state.instants import Span
from steady_state.load_plan import LoadPlan, RoutePlan
from steady_state.verdict import Verdict

TEN_A_SECOND = LoadPlan(source="load", start_s=100.0, routes={"route": RoutePlan(rate_per_s=10.0, phase_s=0.05, maximum_ms=200)})


def ledger_of(numbers: range, action: str = "error") -> Ledger:
    ledger = Ledger()
    for number in numbers:
        ledger.note("route", action, f"load-route-1f-{number}")  # type: ignore[arg-type]
    return ledger


def test_a_phase_holds_its_first_instant_and_not_its_last() -> None:
    timetable = RouteTimetable([Phase(start_s=10.0, end_s=10.2, action="reset"), Phase(start_s=5.0, end_s=6.0, action="slow")])
    met = {at_s: timetable.action_at(at_s) for at_s in (4.999, 5.0, 5.999, 6.0, 9.999, 10.0, 10.1999, 10.2, -1e9)}
    assert met == {
        4.999: "serve",
        5.0: "slow",
        5.999: "slow",
        6.0: "serve",
        9.999: "serve",
        10.0: "reset",
        10.1999: "reset",
        10.2: "serve",
        -1e9: "serve",
    }


def test_phases_that_overlap_or_have_no_length_are_refused() -> None:
    with pytest.raises(ValueError, match=r"overlap at 5\.5"):
        RouteTimetable([Phase(start_s=5.0, end_s=6.0, action="slow"), Phase(start_s=5.5, end_s=7.0, action="error")])
    with pytest.raises(ValueError, match="ends after it starts"):
        Phase(start_s=5.0, end_s=5.0, action="slow")


def test_a_breaker_is_closed_before_its_first_step_and_counts_its_changes() -> None:
    timetable = BreakerTimetable([BreakerStep(at_s=3.0, state="closed"), BreakerStep(at_s=2.0, state="open")])
    assert [timetable.state_at(at_s) for at_s in (1.9, 2.0, 2.9, 3.0)] == [("closed", 0), ("open", 1), ("open", 1), ("closed", 2)]


def test_every_kind_lies_on_both_sides_of_both_limits() -> None:
    truths = {case.name: case.truth for case in all_cases()}
    for kind in ("error", "reset", "eof", "hang", "slow", "breaker"):
        assert truths[f"{kind}-119s"].verdicts["recovery_time"] is Verdict.PASS
        assert truths[f"{kind}-121s"].verdicts["recovery_time"] is Verdict.FAIL
        assert {f"{kind}-{length_s:g}s" for length_s in LENGTHS_S} <= set(truths)
    for kind in ("error", "reset", "eof", "hang"):
        downtime = {length_s: truths[f"{kind}-{length_s:g}s"].verdicts["zero_downtime"] for length_s in LENGTHS_S}
        assert [length_s for length_s, verdict in downtime.items() if verdict is Verdict.PASS] == [0.2, 0.5]
        assert truths[f"{kind}-0.73s"].verdicts["zero_downtime"] is Verdict.PASS
        assert truths[f"{kind}-1.26s"].verdicts["zero_downtime"] is Verdict.FAIL


def test_an_outage_lasts_from_i_until_its_length_after_h() -> None:
    """A little over 123 s of answers 503, while the fault is held for a little over 2: the recovery clock runs for 121 of them."""
    case = next(case for case in all_cases() if case.name == "error-121s")
    (phase,) = case.phases
    assert 2.0 <= case.hold_s <= 2.1
    assert phase.start_s == case.at_s
    assert phase.end_s - case.healed_s == pytest.approx(121.0)
    assert case.truth.recovery_s == 121.0
    assert case.truth.downtime_s == pytest.approx(phase.end_s - phase.start_s)


def test_cases_have_names_and_places_of_their_own_and_room_after_recovery() -> None:
    cases = all_cases()
    assert len({case.name for case in cases}) == len(cases)
    assert len({case.at_s for case in cases}) == len(cases)
    for case in cases:
        assert case.at_s >= 12.0
        assert case.end_s >= case.healed_s + case.truth.recovery_s + 25.0
        assert case.edges_s[0] == case.at_s
        assert case.edges_s[-1] < case.end_s
    assert 150.0 < max(case.end_s for case in cases) < 180.0


@pytest.mark.parametrize(("name", "every"), [("burst-4-percent", 23), ("burst-6-percent", 16), ("after-one-percent", 100)])
def test_each_pulse_of_a_burst_meets_one_request_whatever_its_phase(name: str, every: int) -> None:
    case = next(case for case in all_cases() if case.name == name)
    pulses = [phase for phase in case.phases if phase.end_s - phase.start_s < 0.1]
    for phase_s in (0.001, 0.02, 0.04):
        plan = LoadPlan(source="load", start_s=0.0, routes={"route": RoutePlan(rate_per_s=RATE_PER_S, phase_s=phase_s, maximum_ms=200)})
        assert {plan.due_in("route", Span(pulse.start_s, pulse.end_s)) for pulse in pulses} == {1}
        from_first_to_last = Span(pulses[0].start_s, pulses[-1].start_s)
        assert plan.due_in("route", from_first_to_last) == every * (len(pulses) - 1)


def test_target_plan_and_script_name_the_same_routes_and_breakers() -> None:
    cases = all_cases()
    description, plan, script = description_of(cases, "http://127.0.0.1:1"), plan_of(cases), script_of(cases)
    assert set(description.routes) == set(plan.load.mix) == set(script.routes)
    assert {source.name for source in description.breakers} == set(script.breakers)
    load = plan_load(description, plan.load, rate_per_s=plan.rate_per_s, seed=1, start_s=0.0)
    assert {round(route.rate_per_s, 6) for route in load.routes.values()} == {RATE_PER_S}


def test_the_ledger_counts_the_loads_requests_only_and_survives_its_way() -> None:
    ledger = ledger_of(range(3))
    ledger.note("route", "hang", "load-route-1f-7")
    ledger.note("route", "error", "outside-route-1f-5")
    ledger.note_stall(50.0, 0.049)
    ledger.note_stall(60.0, 0.2)
    again = read_ledger(ledger.text())
    assert again.numbers("route", {"error"}) == {0, 1, 2}
    assert again.numbers("route", {"error", "hang"}) == {0, 1, 2, 7}
    assert again.numbers("other", {"error"}) == set()
    assert (again.stalls(59.0, 61.0), again.stalls(40.0, 59.0), again.stalls(59.9, 59.9)) == ([(60.0, 0.2)], [], [(60.0, 0.2)])


def test_rates_are_counted_by_due_instants_request_by_request() -> None:
    """Due at 100.05, 100.15 ...; numbers 10 to 14 failed (101.05 to 101.45)."""
    counted = count(TEN_A_SECOND, "route", 130.0, ledger_of(range(10, 15)))
    assert len(counted.due) == 300
    assert counted.failed_ratio(Span(101.0, 102.0)) == 0.5
    assert counted.failed_ratio(Span(101.2, 102.2)) == 0.3
    assert counted.failed_ratio(Span(100.0, 110.0)) == 0.05
    assert counted.stale_ratio(Span(101.0, 102.0)) == 0.0
    assert count(TEN_A_SECOND, "route", 130.0, ledger_of(range(10, 15), "stale")).stale_ratio(Span(101.0, 102.0)) == 0.5


def test_a_request_that_is_due_after_the_window_is_nobodys() -> None:
    assert count(TEN_A_SECOND, "route", 101.0, ledger_of(range(8, 15))).failed == pytest.approx([100.85, 100.95])


def test_the_worst_ten_seconds_begin_at_a_failure() -> None:
    """One failure a second for 30 s, two a second from second 10 to 20: 20 of the 100 requests of those ten seconds."""
    failed = {n for n in range(300) if n % 10 == 0 or (100 <= n < 200 and n % 5 == 0)}
    due = [TEN_A_SECOND.due("route", n) for n in range(500)]
    counted = Counted(due, [due[n] for n in sorted(failed)], [])
    assert counted.worst_ratio(Span(100.0, 130.0)) == pytest.approx(0.2)
    assert counted.worst_ratio(Span(100.0, 101.0)) == pytest.approx(0.11)
    assert counted.worst_ratio(Span(120.0, 140.0)) == pytest.approx(0.1)
