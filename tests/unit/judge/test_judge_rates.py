"""`error_rate_during`, `error_rate_after` and `degradation`: shares of counted requests. 100 are due in a second."""

import pytest
from synthetic import Ending, Synthetic, healthy, quiet

from steady_state.instants import Span
from steady_state.outcomes import Outcome
from steady_state.rates import wilson
from steady_state.verdict import Finding, Verdict


def during(run: Synthetic, fault: str = "pod_kill") -> Finding:
    return run.finding(fault, "error_rate_during")


def test_a_route_that_alone_would_not_have_done_is_named() -> None:
    """Half of watchlist fails while the replica is away: 60 of the 1,200 requests of all routes, 60 of its own 120."""
    finding = healthy().with_failures("watchlist", 120.0, 132.0, every=2, sources=("load",)).finding("replica_failure", "degradation")

    assert "; of watchlist alone " in finding.because
    assert "alone" not in healthy().finding("replica_failure", "degradation").because


@pytest.mark.parametrize(("failed", "expected"), [(49, Verdict.PASS), (50, Verdict.FAIL)])
def test_the_worst_ten_seconds_decide(failed: int, expected: Verdict) -> None:
    """49 or 50 of the 1,000 requests of 10 s: 5 % is too much."""
    finding = during(quiet("pod_kill").with_count("search", 41.0, failed))

    assert (finding.verdict, finding.measured, finding.n) == (expected, failed / 1000, 1000)


def test_a_long_stretch_does_not_thin_out_a_bad_ten_seconds() -> None:
    """60 failures within 5 s are 6 % of the 10 s that hold them, however long the fault is held."""
    finding = during(healthy().with_count("search", 85.0, 60, every=5), "link_latency")

    assert finding.verdict is Verdict.FAIL
    assert finding.window == pytest.approx((80.0, 90.0), abs=0.02)


def test_the_worst_ten_seconds_end_before_the_next_fault() -> None:
    """The window never settles; the next fault's failures are not its own."""
    run = healthy().with_failures("search", 78.0, 79.9, every=10).with_failures("search", 80.2, 81.0)

    finding = during(run)

    assert finding.window is not None
    assert finding.window[1] <= 80.002


def test_the_worst_ten_seconds_may_start_at_the_last_moment() -> None:
    """The run of violations ends at 45.0 s (R); what fails within 10 s of R counts in the window that starts at R."""
    run = quiet("pod_kill").with_count("search", 40.9, 5).with_count("search", 44.9, 4).with_count("search", 54.85, 4, every=1)

    finding = during(run)

    assert finding.measured == pytest.approx(9 / 1000)


def test_429_leave_numerator_and_denominator() -> None:
    """5 of 1,000 requests are answered 429: 995 are counted."""
    run = quiet("pod_kill").with_count("search", 41.0, 5, Outcome.RATE_LIMITED)

    assert (during(run).measured, during(run).n) == (0.0, 995)


@pytest.mark.parametrize(
    ("outcome", "count", "expected"),
    [
        (Outcome.RATE_LIMITED, 10, Verdict.PASS),
        (Outcome.RATE_LIMITED, 11, Verdict.INCONCLUSIVE),
        (Outcome.CLIENT_ERROR, 900, Verdict.PASS),
    ],
)
def test_too_many_refusals_decide_nothing(outcome: Outcome, count: int, expected: Verdict) -> None:
    """More than 1 % of 429 in 10 s. Other 4xx leave the rates alone, as long as 60 requests are left: `state_kept` judges them."""
    run = quiet("pod_kill").with_count("search", 42.0, count, outcome)

    assert during(run).verdict is expected


def test_a_burst_of_429_does_not_hide_in_a_long_stretch() -> None:
    """20 of 1,000 in 10 s, but 0.1 % of the 200 s after recovery."""
    run = quiet("pod_kill").with_count("search", 120.0, 20, Outcome.RATE_LIMITED)

    assert run.finding("pod_kill", "error_rate_after").verdict is Verdict.INCONCLUSIVE


def test_fewer_than_sixty_requests_decide_nothing() -> None:
    """5.9 requests a second: 59 in 10 s."""
    finding = during(quiet("pod_kill", rates={"search": 5.9}))

    assert (finding.verdict, finding.because) == (Verdict.INCONCLUSIVE, "59 requests, 60 would suffice")


@pytest.mark.parametrize(("failures", "expected"), [(1, Verdict.PASS), (2, Verdict.FAIL)])
def test_after_recovery_two_failures_of_four_hundred_are_too_many(failures: int, expected: Verdict) -> None:
    """2 requests a second for 200 s: 400. Failures at 100 and 150 s, too few for a violation: R = I."""
    run = quiet("pod_kill", rates={"search": 2.0})
    for place in range(failures):
        run = run.with_count("search", 100.0 + 50 * place, 1)

    finding = run.finding("pod_kill", "error_rate_after")

    assert (finding.verdict, finding.measured, finding.n) == (expected, failures / 400, 400)


def test_fewer_than_four_hundred_requests_decide_nothing() -> None:
    finding = quiet("pod_kill", rates={"search": 1.99}).finding("pod_kill", "error_rate_after")

    assert (finding.verdict, finding.because) == (Verdict.INCONCLUSIVE, "398 requests, 400 would suffice")


def test_failures_until_recovery_are_not_after_it() -> None:
    assert quiet("pod_kill").with_failures("search", 41.0, 50.0).finding("pod_kill", "error_rate_after").measured == 0.0


def test_the_interval_is_the_resolution_of_a_figure() -> None:
    """No failure of 400 is compatible with 0.95 %; the textbook's interval for 10 of 100 is 5.5 % to 17.4 %."""
    assert wilson(0, 400) == pytest.approx((0.0, 0.00951), abs=1e-4)
    assert wilson(10, 100) == pytest.approx((0.0552, 0.1744), abs=1e-4)


@pytest.mark.parametrize(("failed", "expected"), [(70, Verdict.PASS), (71, Verdict.FAIL)])
def test_degradation_on_affected_routes(failed: int, expected: Verdict) -> None:
    """The kill affects search and content: 70 requests a second, 1,400 in 20 s; 5 % may fail."""
    finding = quiet("pod_kill").with_count("search", 41.0, failed).finding("pod_kill", "degradation")

    assert (finding.verdict, finding.n) == (expected, 1400)


@pytest.mark.parametrize(("failed", "expected"), [(3, Verdict.PASS), (4, Verdict.FAIL)])
def test_degradation_on_other_routes(failed: int, expected: Verdict) -> None:
    """The others are 30 requests a second, 600 in 20 s; 0.5 % may fail."""
    assert quiet("pod_kill").with_count("watchlist", 45.0, failed, every=5).finding("pod_kill", "degradation").verdict is expected


def test_the_others_stretch_grows_to_four_hundred() -> None:
    """20 others a second are... 10: 200 in 20 s, so the stretch grows to 40 s."""
    finding = quiet("pod_kill", rates={"search": 10.0, "recommendations": 10.0}).finding("pod_kill", "degradation")

    assert finding.verdict is Verdict.PASS
    assert finding.because.endswith("others 100.00% of 400")


def test_a_stretch_that_cannot_grow_enough_decides_nothing() -> None:
    finding = quiet("pod_kill", rates={"search": 10.0, "recommendations": 1.0}).finding("pod_kill", "degradation")

    assert finding.because.startswith("200 requests on other routes, 400 would suffice")
    assert finding.verdict is Verdict.INCONCLUSIVE


def test_a_gap_in_the_grown_stretch_counts() -> None:
    """20 s are seen, but the others' stretch is 40 s long, with a hole at 70 s."""
    run = quiet("pod_kill", rates={"search": 10.0, "recommendations": 10.0}).without_tallies(70.0, 71.0)

    assert run.finding("pod_kill", "degradation").verdict is Verdict.INCONCLUSIVE


def test_where_every_route_is_affected_there_are_no_others() -> None:
    assert healthy().finding("cache_flush", "degradation").because.endswith("no other route")


def test_a_fallback_that_is_declared_must_be_seen() -> None:
    """The partition's watchlist answers are queued; without one of them nobody degraded gracefully."""
    run = healthy().with_endings("watchlist", 200.0, 214.0, Ending(Outcome.FRESH, 20.0))

    assert run.finding("partition", "degradation").verdict is Verdict.FAIL


def test_a_fallback_before_the_fault_does_not_count() -> None:
    run = healthy().with_endings("watchlist", 199.0, 214.0, Ending(Outcome.FRESH, 20.0))
    run = run.with_endings("watchlist", 199.5, 200.0, Ending(Outcome.FALLBACK, 20.0))

    assert run.finding("partition", "degradation").verdict is Verdict.FAIL


@pytest.mark.parametrize("route", ["search", "recommendations"])
def test_an_answer_stale_beyond_its_limit_fails(route: str) -> None:
    assert healthy().with_count(route, 42.0, 1, Outcome.STALE).finding("pod_kill", "degradation").verdict is Verdict.FAIL


def test_late_is_a_failure_and_stale_is_not() -> None:
    run = quiet("pod_kill").with_count("search", 41.0, 3, Outcome.LATE).with_count("search", 42.0, 3, Outcome.STALE)

    assert during(run).measured == 3 / 1000


def test_due_requests_follow_from_the_plan() -> None:
    """Search: 60 a second; the span is half open."""
    search = quiet().history().load(["search"])[0]
    start = search.plan.start_s

    assert search.due(Span(start, start + 10)) == 600
    assert search.due(Span(start - 10, start)) == 0
