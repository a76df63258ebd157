"""A case judged alone, on synthetic recordings: what the judge finds beside the truth, and what a shifted truth does."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest
import synthetic
from synthetic import GATEWAY_BREAKER, MINUTE_0, Ending, Synthetic, quiet

from accuracy.calibrate.cases import Case, Truth
from accuracy.calibrate.comparing import Row
from accuracy.calibrate.judging import Measured, judge_case
from accuracy.calibrate.ledger import Ledger
from accuracy.calibrate.timetable import BreakerStep, Phase
from steady_state.judged_plan import Limits
from steady_state.outcomes import Outcome
from steady_state.verdict import Verdict

PASSES, FAILS = Verdict.PASS, Verdict.FAIL


def outage(length_s: float, *, hold_s: float = 0.0, recovery_s: float | None = None) -> Case:
    """Nothing is served on watchlist from 40 s on."""
    recovery_s = length_s - hold_s if recovery_s is None else recovery_s
    verdicts = {"zero_downtime": FAILS if length_s >= 1 else PASSES, "recovery_time": FAILS if recovery_s > 120 else PASSES}
    phase = Phase(start_s=40.0, end_s=40.0 + length_s, action="error")
    return Case("watchlist", 40.0, Truth(length_s, recovery_s, verdicts), hold_s, phases=(phase,))


def run_of(length_s: float) -> Synthetic:
    return quiet(rates={"watchlist": 23.0, "content": 23.0}, length_s=length_s)


def failing(run: Synthetic, start: float, end: float) -> Synthetic:
    return run.with_endings("watchlist", start, end, Ending(Outcome.SERVER_ERROR, 1.0))


def ledger_of(run: Synthetic, start: float, end: float) -> Ledger:
    """What a target wrote that failed all requests due in the stretch."""
    ledger, plan = Ledger(), run.load["load"]
    first, last = (plan.first_at_or_after("watchlist", MINUTE_0 + instant) for instant in (start, end))
    for number in range(first, last):
        ledger.note("watchlist", "error", f"load-watchlist-1-{number}")
    return ledger


def measured(run: Synthetic, ledger: Ledger | None = None) -> Measured:
    return Measured(run.lines(), ledger or Ledger(), MINUTE_0, Limits())


def rows_of(rows: Iterable[Row]) -> dict[str, Row]:
    return {row.what: row for row in rows}


@pytest.mark.parametrize("length_s", [0.5, 1.0, 1.1, 5.0])
def test_an_outage_of_known_length_is_found_right_in_every_quantity(length_s: float) -> None:
    end = 40.0 + length_s
    run = failing(run_of(90.0), 40.0, end)
    rows = rows_of(judge_case(measured(run, ledger_of(run, 40.0, end)), outage(length_s)))
    assert [row.what for row in rows.values() if not row.right] == []
    assert rows["downtime"].measured == pytest.approx(length_s, abs=0.1)
    assert rows["recovery"].measured == pytest.approx(length_s, abs=0.05)
    assert {"error_rate_during", "error_rate_after", "degradation", "stale answers"} <= set(rows)


@pytest.mark.parametrize(("recovery_s", "verdict"), [(119.0, PASSES), (121.0, FAILS)])
def test_two_seconds_around_the_limit_are_told_apart(recovery_s: float, verdict: Verdict) -> None:
    run = failing(run_of(200.0), 40.0, 42.0 + recovery_s)
    rows = rows_of(judge_case(measured(run, ledger_of(run, 40.0, 42.0 + recovery_s)), outage(2.0 + recovery_s, hold_s=2.0)))
    assert rows["recovery_time"].measured == verdict.value
    assert all(row.right for row in rows.values())


def test_a_truth_that_is_shifted_by_half_a_second_is_seen() -> None:
    run = failing(run_of(90.0), 40.0, 45.0)
    rows = rows_of(judge_case(measured(run, ledger_of(run, 40.0, 45.0)), outage(5.5)))
    assert (rows["downtime"].judged, rows["recovery"].judged) == ("wrong", "wrong")
    assert rows["downtime"].error == pytest.approx(-0.5, abs=0.06)


def test_one_failure_that_the_target_did_not_make_is_seen() -> None:
    run = failing(run_of(90.0), 40.0, 45.0)
    ledger = ledger_of(run, 40.0, 44.95)
    rows = rows_of(judge_case(measured(run, ledger), outage(5.0)))
    assert rows["error_rate_during"].judged == "wrong"
    assert rows["recovery"].judged == "right"


def test_the_other_routes_failures_are_not_this_cases() -> None:
    run = run_of(90.0).with_endings("content", 20.0, 80.0, Ending(Outcome.SERVER_ERROR, 1.0))
    run = failing(run, 40.0, 41.0)
    rows = judge_case(measured(run, ledger_of(run, 40.0, 41.0)), outage(1.0))
    assert [row.what for row in rows if not row.right] == []


def test_a_lagging_generator_makes_the_case_inconclusive_and_not_wrong() -> None:
    run = failing(run_of(90.0), 40.0, 40.5).with_lag(42.0, 5)
    rows = rows_of(judge_case(measured(run, ledger_of(run, 40.0, 40.5)), outage(0.5)))
    assert rows["recovery"].judged == "inconclusive"
    assert "generator-limited" in rows["recovery"].spoiled


def test_a_target_that_was_held_up_at_an_edge_puts_the_truth_in_doubt() -> None:
    run = failing(run_of(90.0), 40.0, 41.0)
    early, near = ledger_of(run, 40.0, 41.0), ledger_of(run, 40.0, 41.0)
    early.note_stall(MINUTE_0 + 20.0, 0.3)
    near.note_stall(MINUTE_0 + 41.1, 0.3)
    assert all(row.right for row in judge_case(measured(run, early), outage(1.0)))
    assert {row.judged for row in judge_case(measured(run, near), outage(1.0))} == {"inconclusive"}


def breaker_case(*steps: tuple[float, str], recovery_s: float) -> Case:
    scripted = tuple(BreakerStep(at_s=at_s, state=state) for at_s, state in steps)  # type: ignore[arg-type]
    truth = Truth(
        0.0,
        recovery_s,
        {"recovery_time": PASSES, "breakers": PASSES},
        tuple((step.at_s, step.state) for step in scripted),
        by_breaker=True,
    )
    return Case(GATEWAY_BREAKER, 40.0, truth, steps=scripted, may_open=True)


@pytest.fixture
def steady_run(monkeypatch: pytest.MonkeyPatch) -> Synthetic:
    monkeypatch.setitem(synthetic.MAXIMA_MS, "steady", 200.0)
    return quiet(rates={"steady": 23.0, "content": 23.0}, length_s=90.0)


def test_transitions_are_compared_in_their_order(steady_run: Synthetic) -> None:
    run = steady_run.with_breaker(GATEWAY_BREAKER, "api-gateway-0", (40.15, "open"), (45.2, "closed"))
    rows = rows_of(judge_case(measured(run), breaker_case((40.0, "open"), (45.0, "closed"), recovery_s=5.0)))
    assert rows["to open"].error == pytest.approx(0.15)
    assert rows["to closed"].error == pytest.approx(0.2)
    assert all(row.right for row in rows.values())


def test_a_transition_that_was_not_seen_is_wrong(steady_run: Synthetic) -> None:
    run = steady_run.with_breaker(GATEWAY_BREAKER, "api-gateway-0", (40.15, "open"), (45.2, "closed"))
    scripted = breaker_case((40.0, "open"), (44.5, "half_open"), (45.0, "closed"), recovery_s=5.0)
    rows = rows_of(judge_case(measured(run), scripted))
    assert (rows["to open"].judged, rows["to half_open"].judged) == ("right", "wrong")
    assert rows["to half_open"].measured is None


def test_a_transition_seen_too_late_is_wrong(steady_run: Synthetic) -> None:
    run = steady_run.with_breaker(GATEWAY_BREAKER, "api-gateway-0", (40.3, "open"), (45.2, "closed"))
    rows = rows_of(judge_case(measured(run), breaker_case((40.0, "open"), (45.0, "closed"), recovery_s=5.0)))
    assert rows["to open"].judged == "wrong"


def test_a_verdict_other_than_the_truth_demands_is_wrong() -> None:
    run = failing(run_of(90.0), 40.0, 41.0)
    case = outage(1.0)
    hoped = replace(case, truth=replace(case.truth, verdicts={"zero_downtime": PASSES}))
    rows = rows_of(judge_case(measured(run, ledger_of(run, 40.0, 41.0)), hoped))
    assert rows["zero_downtime"].judged == "wrong"
