"""`breakers`: what each must and must not do, in every replica. The partition is injected at 200.002 s and healed at 212.1 s."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from synthetic import GATEWAY_BREAKER, MINUTE_0, PUBNUB_BREAKER, Ending, Synthetic, healthy, quiet
from synthetic_plan import must_open

from steady_state import observations as obs
from steady_state.outcomes import Outcome
from steady_state.verdict import Finding, Verdict

BOTH = ("sync-0", "sync-1")


def breakers(run: Synthetic, fault: str = "partition") -> Finding:
    return run.finding(fault, "breakers")


def never_opened(run: Synthetic, *replicas: str) -> Synthetic:
    for replica in replicas:
        run = run.with_breaker(PUBNUB_BREAKER, replica)
    return run


def test_it_opened_and_closed_in_every_replica() -> None:
    finding = breakers(healthy())

    assert finding.verdict is Verdict.PASS
    for replica in BOTH:
        assert f"{PUBNUB_BREAKER} opened on {replica} after 1.5 s" in finding.because
        assert f"{PUBNUB_BREAKER} closed on {replica} 2.9 s after the fault ended" in finding.because


def test_one_replica_that_never_opened_fails() -> None:
    """sync-1 had three failing tries, which must open it."""
    finding = breakers(never_opened(healthy(), "sync-1"))

    assert finding.verdict is Verdict.FAIL
    assert finding.because == (
        f"{PUBNUB_BREAKER} opened on 1 of 2 replicas; {PUBNUB_BREAKER} never opened on sync-1 although 3 tries failed (3 must open it)"
    )


def test_a_replica_without_traffic_is_named_and_not_judged() -> None:
    finding = breakers(never_opened(healthy(), "sync-1").with_errors("sync-1", (200.3, 1), (200.8, 2)))

    assert finding.verdict is Verdict.PASS
    assert f"{PUBNUB_BREAKER} on sync-1 had 2 failing tries, not judged" in finding.because


def test_when_no_replica_is_judged_nothing_is_proved() -> None:
    run = never_opened(healthy(), *BOTH).with_errors("sync-0").with_errors("sync-1")

    assert breakers(run).verdict is Verdict.INCONCLUSIVE
    assert "no replica of sync->pubnub had 3 failing tries" in breakers(run).because


def test_failing_tries_that_nobody_counted_are_not_few() -> None:
    """The calls probe sees nothing of sync-1 from 200 s on: it may have had 2 failing tries or 200."""
    run = never_opened(healthy(), "sync-1").with_errors("sync-1", (200.3, 1))

    unread = run.without(lambda line: isinstance(line, obs.CallsLine) and line.pod == "sync-1" and line.t > 5200.5)
    assert breakers(unread).verdict is Verdict.INCONCLUSIVE
    assert breakers(run.with_silence("calls", 203.0, 209.0)).verdict is Verdict.INCONCLUSIVE
    assert breakers(run.with_rule("partition", must_open(dependency=None))).verdict is Verdict.INCONCLUSIVE


def test_failing_tries_that_were_not_read_before_the_fault_may_be_older() -> None:
    """40 tries had failed when sync-1 was first read, 2 s into the partition; not one fails in it."""
    run = never_opened(healthy(), "sync-1").with_errors("sync-1", (100.0, 40))
    unread = run.without(lambda line: isinstance(line, obs.CallsLine) and line.pod == "sync-1" and line.t < 5202)

    assert breakers(unread).verdict is Verdict.INCONCLUSIVE
    assert "sync-1, and its failing tries were not counted" in breakers(unread).because


def test_failing_tries_before_the_fault_do_not_bind() -> None:
    run = never_opened(healthy(), "sync-1").with_errors("sync-1", (100.0, 7), (201.0, 8))

    assert "sync-1 had 1 failing tries, not judged" in breakers(run).because


@pytest.mark.parametrize(
    ("tries", "opened", "expected"),
    [
        (201.3, 209.9, Verdict.PASS),  # within 10 s of I
        (201.3, 211.0, Verdict.FAIL),  # 10 s after its third failing try
        (209.3, 211.0, Verdict.PASS),  # later than 10 s, but 1.7 s after the third failing try
    ],
)
def test_it_must_open_within_ten_seconds_or_three_failing_tries(tries: float, opened: float, expected: Verdict) -> None:
    run = healthy().with_errors("sync-0", (200.3, 1), (tries, 3))

    assert breakers(run.with_breaker(PUBNUB_BREAKER, "sync-0", (opened, "open"), (214.0, "closed"))).verdict is expected


@pytest.mark.parametrize(("closed", "expected"), [(227.0, Verdict.PASS), (227.2, Verdict.FAIL)])
def test_it_must_close_fifteen_seconds_after_the_heal(closed: float, expected: Verdict) -> None:
    """The partition ended at 212.1 s."""
    assert breakers(healthy().with_breaker(PUBNUB_BREAKER, "sync-0", (201.5, "open"), (closed, "closed"))).verdict is expected


def test_it_must_stay_closed_from_then_on() -> None:
    run = healthy().with_breaker(PUBNUB_BREAKER, "sync-0", (201.5, "open"), (214.0, "closed"), (230.0, "open"), (231.0, "closed"))

    assert breakers(run).verdict is Verdict.FAIL


def test_half_open_is_not_required_and_not_closed() -> None:
    assert breakers(healthy().with_breaker(PUBNUB_BREAKER, "sync-0", (201.5, "open"), (215.0, "closed"))).verdict is Verdict.PASS
    assert breakers(healthy().with_breaker(PUBNUB_BREAKER, "sync-0", (201.5, "open"), (214.0, "half_open"))).verdict is Verdict.FAIL


def test_half_open_without_open_was_open_between_two_looks() -> None:
    run = healthy().with_breaker(PUBNUB_BREAKER, "sync-0", (201.5, "half_open"), (214.0, "closed"))

    assert "opened on sync-0 after 1.5 s" in breakers(run).because


def test_a_breaker_without_a_rule_must_stay_closed() -> None:
    run = healthy().with_breaker(GATEWAY_BREAKER, "api-gateway-1", (90.0, "open"), (91.0, "closed"))

    finding = breakers(run, "link_latency")

    assert finding.verdict is Verdict.FAIL
    assert finding.because == f"{GATEWAY_BREAKER} was not closed on api-gateway-1 from 90.0 s for 1.0 s"


def test_a_change_between_two_looks_counts_by_the_sources_counter() -> None:
    """Nobody saw it open, but its own counter went from 0 to 2."""
    finding = breakers(healthy().with_counter(GATEWAY_BREAKER, "api-gateway-0", (90.0, 2)), "link_latency")

    assert finding.verdict is Verdict.FAIL
    assert "changed 2 times on api-gateway-0 between two looks" in finding.because
    by_counter = never_opened(healthy(), "sync-0").with_counter(PUBNUB_BREAKER, "sync-0", (201.6, 2))
    assert "opened on sync-0 after 1.6 s" in breakers(by_counter).because


def test_a_new_replicas_counter_starts_at_zero() -> None:
    """The first look at a new pod finds its breaker closed, after two changes."""
    line = obs.BreakerLine(t=5044.2, breaker=GATEWAY_BREAKER, replica="api-gateway-9", state="closed", transitions=2)

    assert breakers(healthy().with_line(line), "link_latency").verdict is Verdict.PASS
    assert "api-gateway-9" in breakers(quiet("link_latency").with_line(line.model_copy(update={"t": 5081.0})), "link_latency").because


def test_may_open_may_stay_closed() -> None:
    assert breakers(healthy(), "pod_kill").verdict is Verdict.PASS


@pytest.mark.parametrize(("closed", "expected"), [(55.0, Verdict.PASS), (55.1, Verdict.FAIL)])
def test_may_open_must_close(closed: float, expected: Verdict) -> None:
    """15 s after the kill at 40.002 s."""
    run = healthy().with_breaker(GATEWAY_BREAKER, "api-gateway-0", (41.0, "open"), (closed, "closed"))

    assert breakers(run, "pod_kill").verdict is expected


def test_a_breaker_that_was_open_before_did_not_stay_closed() -> None:
    run = quiet("pod_kill").with_breaker(GATEWAY_BREAKER, "api-gateway-0", (39.0, "open"))

    assert breakers(run, "pod_kill").verdict is Verdict.FAIL
    assert run.finding("baseline", "breakers").verdict is Verdict.FAIL


def test_a_breaker_dies_with_its_pod() -> None:
    """api-gateway-1 is gone from 45 s on; its breaker was open."""
    run = quiet("pod_kill").with_breaker(GATEWAY_BREAKER, "api-gateway-1", (41.0, "open")).with_ready("api-gateway", (45.0, 1))

    assert breakers(run, "pod_kill").verdict is Verdict.PASS


def test_a_replica_that_is_long_gone_is_not_asked() -> None:
    """sync-1 was replaced at 100 s: no partition can open its breaker."""
    run = never_opened(healthy(), "sync-1").with_breaker(PUBNUB_BREAKER, "sync-2", (201.5, "open"), (215.0, "closed"))
    run.ready["sync"].append((100.0, ("sync-0", "sync-2")))

    finding = breakers(run)

    assert finding.verdict is Verdict.PASS
    assert "sync-1" not in finding.because


@pytest.mark.parametrize(("latency_ms", "expected"), [(29.0, Verdict.PASS), (31.0, Verdict.FAIL)])
def test_it_fails_fast_while_open(latency_ms: float, expected: Verdict) -> None:
    """The median of watchlist is 20 ms at the baseline; 10 ms more are allowed while the breaker is open."""
    run = healthy().with_endings("watchlist", 200.0, 214.0, Ending(Outcome.FALLBACK, latency_ms))

    assert breakers(run).verdict is expected


def test_only_the_stretch_in_which_all_are_open_tells_how_fast_it_fails() -> None:
    """sync-1 opens at 206 s: until then its answers wait for the time-out, and that is no fault of an open breaker."""
    run = healthy().with_endings("watchlist", 200.0, 206.0, Ending(Outcome.FALLBACK, 900.0))

    assert breakers(run.with_breaker(PUBNUB_BREAKER, "sync-1", (206.0, "open"), (215.0, "closed"))).verdict is Verdict.PASS
    assert breakers(run.with_breaker(PUBNUB_BREAKER, "sync-1", (202.0, "open"), (215.0, "closed"))).verdict is Verdict.PASS


def test_without_latency_nothing_failed_fast() -> None:
    run = healthy().with_failures("watchlist", 200.0, 216.0)

    assert "no latency of watchlist to compare" in breakers(run).because


@pytest.mark.parametrize("start", [10.0, 205.0])
def test_a_second_without_record_in_a_median_decides_nothing(start: float) -> None:
    assert breakers(healthy().without_tallies(start, start + 1)).verdict is Verdict.INCONCLUSIVE


def test_seconds_in_which_the_generator_lagged_are_left_out_of_the_baselines_median() -> None:
    """They are slow by our own fault. While the breaker is open they leave the question open."""
    assert breakers(healthy().with_lag(10.0, 5)).verdict is Verdict.PASS
    assert breakers(healthy().with_lag(205.0, 5)).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("fault", ["pod_kill", "partition", "baseline"])
def test_a_breaker_that_nobody_read_is_inconclusive(fault: str) -> None:
    run = healthy().without(lambda line: isinstance(line, obs.BreakerLine) and line.breaker == GATEWAY_BREAKER)

    assert breakers(run, fault).verdict is Verdict.INCONCLUSIVE
    assert f"{GATEWAY_BREAKER} was never read" in breakers(run, fault).because


def gap(t: float, from_t: float) -> dict[str, Any]:
    return {"t": 5000 + t, "probe": "breakers", "subject": f"{GATEWAY_BREAKER}/api-gateway-0", "from_t": 5000 + from_t, "reason": "503"}


def test_a_gap_inside_the_window_is_inconclusive() -> None:
    run = healthy().with_line(obs.GapLine.model_validate(gap(91.5, 90.0)))

    assert breakers(run, "link_latency").verdict is Verdict.INCONCLUSIVE
    assert "for 1.5 s from 90.0 s (503)" in breakers(run, "link_latency").because
    assert breakers(run, "replica_failure").verdict is Verdict.PASS


def test_no_breaker_at_all_is_inconclusive() -> None:
    run = healthy()
    run.plan = run.plan.model_copy(update={"breakers": []})

    assert breakers(run, "link_latency").because == "the target description names no breaker"


def by_source(source: str, replica: str, *steps: tuple[float, str]) -> Callable[[Synthetic], Synthetic]:
    """One more source of the PubNub breaker."""

    def add(run: Synthetic) -> Synthetic:
        for t, state in ((-15.0, "closed"), *steps):
            run = run.with_line(obs.BreakerLine(t=MINUTE_0 + t, breaker=PUBNUB_BREAKER, replica=replica, state=state, source=source))  # type: ignore[arg-type]
        return run

    return add


def only_from(source: str) -> Callable[[obs.Observation], Iterable[obs.Observation]]:
    """What the health document said was said by this source instead."""

    def change(line: obs.Observation) -> Iterable[obs.Observation]:
        ours = isinstance(line, obs.BreakerLine) and line.breaker == PUBNUB_BREAKER
        return [line.model_copy(update={"source": source})] if ours else [line]

    return change


@pytest.mark.parametrize("source", ["metric", "log"])
def test_every_live_source_is_believed(source: str) -> None:
    assert breakers(healthy().with_change(only_from(source))).verdict is Verdict.PASS


def test_a_copy_alone_says_nothing_of_each_replica() -> None:
    finding = breakers(healthy().with_change(only_from("copy")))

    assert finding.verdict is Verdict.INCONCLUSIVE
    assert "was seen only as a copy" in finding.because


def test_other_sources_are_shown_and_decide_nothing() -> None:
    """The health document of sync-0 says that it opened and closed; its log says nothing, the copy only that one opened."""
    run = by_source("copy", "copy", (202.0, "open"))(by_source("log", "sync-0")(healthy()))

    finding = breakers(run)

    assert finding.verdict is Verdict.PASS
    assert f"{PUBNUB_BREAKER} by its copy in the cache: open at 202.0 s" in finding.evidence
    assert f"{PUBNUB_BREAKER} by the log of sync-0: closed throughout" in finding.evidence


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        (f"{PUBNUB_BREAKER}/sync-0", Verdict.INCONCLUSIVE),
        (f"{PUBNUB_BREAKER}/sync-0 (log)", Verdict.PASS),
        (f"{PUBNUB_BREAKER}/copy (copy)", Verdict.PASS),
    ],
)
def test_only_a_gap_of_the_source_that_is_believed_spoils_the_cell(subject: str, expected: Verdict) -> None:
    gap = obs.GapLine(t=MINUTE_0 + 225, probe="breakers", subject=subject, from_t=MINUTE_0 + 220, reason="no answer")

    assert breakers(healthy().with_line(gap)).verdict is expected
