"""Explanations: where they look for each criterion, and that what was our own doing is named."""

from __future__ import annotations

import pytest
import synthetic

from steady_state import observations as obs
from steady_state.accounts import MOST
from steady_state.explanation import Explanation, explain, unproven_cells
from steady_state.outcomes import Outcome

T0 = synthetic.MINUTE_0


def explained(run: synthetic.Synthetic, fault: str, criterion: str) -> Explanation:
    judgement = run.judged()
    return explain(judgement, synthetic.cell_of(judgement, fault, criterion))


def told(one: Explanation, sampler: str) -> list[str]:
    return next(list(sighting.sentences) for sighting in one.seen if sighting.sampler == sampler)


def content_down() -> synthetic.Synthetic:
    """Content is down for 2 s; two requests of search failed a second earlier."""
    return synthetic.healthy().with_count("search", 45.0, 2).with_failures("content", 46.0, 48.0)


def test_a_downtime_begins_at_the_first_failure_of_its_own_route() -> None:
    one = explained(content_down(), "pod_kill", "zero_downtime")
    assert one.failing.first is not None
    assert (one.failing.first["route"], one.failing.first["source"]) == ("content", "load")
    assert one.failing.first["t"] == 46.004
    assert one.failing.last_healthy_s == 44  # second 45 had the failing search
    assert {(kind.source, kind.route, kind.count) for kind in one.failing.seen} == {("load", "content", 20), ("outside", "content", 20)}
    assert one.around == (41.004, 61.004)


def test_seconds_of_which_nothing_is_known_are_not_called_healthy() -> None:
    one = explained(content_down().without_tallies(43, 45), "pod_kill", "zero_downtime")
    assert one.failing.last_healthy_s == 42


def test_each_sampler_tells_of_the_stretch_around_it() -> None:
    one = explained(content_down(), "pod_kill", "zero_downtime")
    assert told(one, "load") == ["failed: search 2 of 1200, content 20 of 200"]
    assert told(one, "outside") == ["failed: content 20 of 200"]
    assert told(one, "pods") == ["discovery: fewer than 2 ready from 40.05 s to 44.00 s", "44.00 s discovery-2 ready"]
    assert told(one, "breakers") == ["all closed on every replica"]
    assert told(one, "replication") == ["all 3 standbys stream"]
    assert told(one, "cache") == ["hit rate 75.0%, 75.0% in the 10 s before"]
    assert told(one, "delivery") == [
        "20 operations accepted (0 queued), 0 refused; 0 lost, 0 doubled, 0 out of order; median 30 ms, longest 30 ms"
    ]
    assert told(one, "calls") == ["tries a second (in the 10 s before): pubnub 10.0 (10.0)", "fallbacks: none"]
    assert told(one, "host") == ["not recorded"]
    assert one.reasons == ()
    assert [step for step, _ in one.fault] == ["planned", "injected", "felt", "healed", "recovered"]


def test_a_breaker_that_opened_on_one_of_two_replicas_is_told_so_and_looked_at() -> None:
    run = synthetic.healthy().with_breaker(synthetic.PUBNUB_BREAKER, "sync-0")
    one = explained(run, "partition", "breakers")
    assert one.around == (196.5, 216.5)  # around the opening at 201.5 s
    assert told(one, "breakers") == [
        "sync->pubnub left closed on 1 of 2 replicas: sync-1 open 201.50 s, half-open 214.00 s, closed 215.00 s"
    ]


def test_a_breaker_out_of_place_comes_before_one_that_may_open() -> None:
    gateway = (synthetic.GATEWAY_BREAKER, "api-gateway-0")
    run = synthetic.healthy().with_breaker(*gateway, (230.0, "open"), (232.0, "closed"))
    assert explained(run, "partition", "breakers").around == (225.0, 245.0)


def test_a_breaker_that_was_not_read_is_told() -> None:
    run = synthetic.healthy().without(lambda line: isinstance(line, obs.BreakerLine) and line.breaker == synthetic.GATEWAY_BREAKER)
    assert told(explained(run, "pod_kill", "breakers"), "breakers") == [
        "not read: gateway->discovery",
        "all others closed on every replica",
    ]


def test_recovery_is_looked_at_where_it_ended() -> None:
    run = synthetic.healthy().with_ready("discovery", (40.05, 1), (60.0, 2))
    one = explained(run, "pod_kill", "recovery_time")
    assert one.around == (pytest.approx(45.0), pytest.approx(65.0))
    assert "60.00 s discovery-1 ready" in told(one, "pods")


def test_delivery_is_looked_at_where_the_first_operation_went_wrong() -> None:
    run = synthetic.healthy().with_change(lambda line: [] if isinstance(line, obs.DeliveryLine) and line.number == 50 else [line])
    one = explained(run, "baseline", "zero_downtime")
    assert one.failing.first is None
    one = explained(
        run.with_change(lambda line: [] if isinstance(line, obs.DeliveryLine) and line.number == 90 else [line]), "pod_kill", "delivery"
    )
    assert one.around == (65.4, 85.4)  # operation 90 was sent at 70.4 s; 50 before the kill
    assert "1 lost" in told(one, "delivery")[0]


def test_new_4xx_are_the_failing_requests_of_state_kept() -> None:
    run = synthetic.healthy().with_count("watchlist", 165.0, 60, Outcome.CLIENT_ERROR).with_count("search", 161.0, 3)
    one = explained(run, "cache_flush", "state_kept")
    assert one.failing.first is not None
    assert (one.failing.first["route"], one.failing.first["outcome"]) == ("watchlist", "client_error")


def test_stale_answers_count_against_degradation_alone() -> None:
    run = synthetic.healthy().with_count("search", 41.0, 3, Outcome.STALE)
    assert [kind.outcome for kind in explained(run, "pod_kill", "degradation").failing.seen] == ["stale"]
    assert explained(run, "pod_kill", "error_rate_during").failing.first is None


def test_slow_answers_are_told_apart_from_failed_ones() -> None:
    run = synthetic.healthy().with_slow("search", 45.0, 46.0, latency_ms=700).with_count("content", 45.0, 2)
    assert told(explained(run, "pod_kill", "error_rate_during"), "load") == [
        "failed: content 2 of 200",
        "served, but above the maximum of its route: search 60",
    ]


def test_lag_of_the_generator_is_a_reason_and_the_place_to_look() -> None:
    one = explained(synthetic.healthy().with_lag(70.0, 40), "pod_kill", "error_rate_after")
    assert one.around == (65.0, 85.0)
    assert one.reasons[0] == "the generator of source load lagged in 1 s (40 requests late), at most 0 ms in second 70"
    assert one.reasons[1] == "load: 1 s generator-limited (first at 70 s)"


def test_steal_is_a_reason_from_a_twentieth_on() -> None:
    run = content_down()
    for t, steal in ((44.0, 0.04), (47.0, 0.40), (48.0, 0.06), (200.0, 0.9)):
        run = run.with_line(obs.HostLine(t=T0 + t, steal_ratio=steal, busy_ratio=0.5))
    one = explained(run, "pod_kill", "zero_downtime")
    assert len(one.reasons) == 1
    assert one.reasons[0].startswith("CPU steal of 5% or more in 2 s, at most 40% in the second before 47.0 s")
    assert told(one, "host") == ["busy 50% on average, CPU steal at most 40% (second before 47.00 s)"]


def test_gaps_are_reasons() -> None:
    one = explained(synthetic.healthy().with_silence("breakers", 50.0, 56.0), "pod_kill", "recovery_time")
    assert [reason for reason in one.reasons if reason.startswith("breakers was silent for")]


def test_a_fault_that_was_never_injected_is_looked_at_where_it_was_planned() -> None:
    one = explained(synthetic.healthy().without_step("cache_flush", "injecting", "injected", "proof"), "cache_flush", "refill")
    assert one.around == (155.0, 175.0)
    assert dict(one.fault)["injected"] is None


def test_a_run_that_never_began_tells_of_its_last_seconds() -> None:
    one = explained(synthetic.healthy().killed(-5.0), "pod_kill", "validity")
    assert one.reasons[0].startswith("minute 0 never came")
    assert one.around[1] == 0.0


def test_a_cell_that_does_not_apply_cannot_be_explained() -> None:
    judgement = synthetic.healthy().with_fault("partition", not_applicable={"refill": "no cache"}).judged()
    with pytest.raises(ValueError, match="partition/refill does not apply: no cache"):
        explain(judgement, synthetic.cell_of(judgement, "partition", "refill"))


def test_only_cells_that_are_not_green_want_an_explanation_red_first() -> None:
    assert unproven_cells(synthetic.healthy().judged()) == []
    run = synthetic.healthy().without_step("pod_kill", "proof").with_failures("content", 205.0, 208.0)
    found = unproven_cells(run.judged())
    assert (found[0].fault, found[0].criterion) == ("partition", "zero_downtime")
    assert found[-1].fault == "pod_kill"


def test_many_changes_are_cut() -> None:
    flapping = [(50.0 + step / 10, 1 + step % 2) for step in range(40)]
    one = explained(synthetic.healthy().with_ready("discovery", *flapping), "pod_kill", "breakers")
    assert len(told(one, "pods")) == MOST
    assert told(one, "pods")[-1].startswith("and ")
