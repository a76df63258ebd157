"""Power: what a run could have seen, checked by hand and against the judge itself."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable

import pytest
import synthetic

from steady_state import observations as obs
from steady_state.document import document
from steady_state.downtime import downtimes
from steady_state.instants import Span
from steady_state.power import certain_outage_s, pass_probability, power
from steady_state.verdict import Verdict

STARTS = [50.0, 50.021, 50.049, 50.0511, 50.073, 50.099]
"""Beginnings of an outage at several phases to the arrivals."""


def test_the_shortest_outage_holds_five_arrivals_whatever_its_phase() -> None:
    assert certain_outage_s([10.0], 5) == pytest.approx(0.5)
    assert certain_outage_s([10.0, 10.0], 5) == pytest.approx(0.3)  # 3 + 3; at 0.2 s only 2 + 2
    assert certain_outage_s([60.0, 10.0], 5) == pytest.approx(5 / 60)
    assert certain_outage_s([2.0, 2.0], 5) == pytest.approx(1.5)
    with pytest.raises(ValueError, match="no source"):
        certain_outage_s([], 5)


@pytest.mark.parametrize("rates", [(10.0, 7.0), (3.0, 10.0), (4.0, 4.0)])
def test_no_phase_hides_such_an_outage_and_some_phase_hides_a_shorter_one(rates: tuple[float, float]) -> None:
    length = certain_outage_s(rates, 5)
    phases = [step / 40 for step in range(40)]

    def held(seconds: float) -> int:
        counts = [[math.ceil((seconds - phase / rate) * rate - 1e-9) for phase in phases] for rate in rates]
        return min(sum(max(0, count) for count in both) for both in itertools.product(*counts))

    assert held(length) >= 5
    assert held(length * 0.97) < 5


def test_outages_of_the_plan_are_told_by_route() -> None:
    outages = power(synthetic.healthy().judged())["outages"]
    assert outages["search"] == {"requests_per_s": 70.0, "seen_s": 0.0833, "failed_s": 0.9667}
    assert outages["content"] == {"requests_per_s": 20.0, "seen_s": 0.3, "failed_s": 1.05}


@pytest.mark.parametrize("start", STARTS)
def test_the_judge_sees_and_fails_what_power_promises(start: float) -> None:
    outage = power(synthetic.healthy().judged())["outages"]["content"]
    seen = synthetic.quiet().with_failures("content", start, start + outage["seen_s"])
    assert [one.route for one in downtimes(seen.history(), Span(synthetic.MINUTE_0, synthetic.MINUTE_0 + 240))] == ["content"]
    failed = synthetic.quiet().with_failures("content", start, start + outage["failed_s"])
    assert synthetic.verdicts(failed.judged())["pod_kill", "zero_downtime"] is Verdict.FAIL


def test_without_a_load_of_ours_the_outside_probe_stands_alone() -> None:
    def outside_only(line: obs.Observation) -> Iterable[obs.Observation]:
        source = line.plan.source if isinstance(line, obs.LoadPlanLine) else getattr(line, "source", "")
        return [] if source == "load" else [line]

    found = power(synthetic.healthy().with_change(outside_only).judged())
    assert found["outages"]["search"]["seen_s"] == 0.5
    assert found["windows"]["pod_kill"]["routes"] == {}


def test_error_rates_are_those_that_show_two_failures() -> None:
    windows = power(synthetic.healthy().judged())["windows"]
    after = windows["baseline"]["after"]
    assert after["counted"] == 4000  # 40 s of 100 requests/s
    p = after["seen_ratio"]
    assert (1 - p) ** 4000 + 4000 * p * (1 - p) ** 3999 == pytest.approx(0.05, abs=1e-3)
    assert windows["baseline"]["during"] is None
    assert windows["cache_flush"]["during"]["counted"] == 1000
    assert windows["cache_flush"]["during"]["failed_ratio"] > 0.05
    assert windows["cache_flush"]["routes"]["content"]["counted"] == 400


def test_a_window_that_never_settled_has_no_stretch_after_it() -> None:
    run = synthetic.healthy().with_ready("discovery", (40.05, 1))
    assert power(run.judged())["windows"]["pod_kill"]["after"] is None


def test_what_our_own_generator_did_not_send_could_not_have_been_seen() -> None:
    run = synthetic.quiet().with_count("content", 10.0, 100, synthetic.Outcome.GENERATOR)
    assert power(run.judged())["windows"]["baseline"]["routes"]["content"]["counted"] == 300


def test_a_run_that_never_began_could_see_nothing() -> None:
    judgement = synthetic.healthy().killed(-5.0).judged()
    assert power(judgement)["windows"] == {}
    assert document(judgement)["power"]["pass_probability"] is None


def test_one_verdict_says_little_of_the_next_run() -> None:
    assert pass_probability([Verdict.PASS]) == [0.025, 1.0]
    assert pass_probability([Verdict.FAIL]) == [0.0, 0.975]
    assert pass_probability([Verdict.INCONCLUSIVE]) is None
    assert pass_probability([Verdict.PASS, Verdict.INCONCLUSIVE]) == [0.025, 1.0]
