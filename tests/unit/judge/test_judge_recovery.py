"""`recovery_time`: from the end of the fault to the settled stretch, or to the end of the violations that cross it."""

import pytest
from synthetic import GATEWAY_BREAKER, PUBNUB_BREAKER, Ending, Synthetic, healthy, quiet

from steady_state.outcomes import Outcome
from steady_state.verdict import Finding, Verdict

KILLED = 40.002
"""The instant of `pod_kill`, a one-shot fault: I = H."""


def recovery(run: Synthetic, fault: str = "pod_kill") -> Finding:
    return run.finding(fault, "recovery_time")


def test_no_violation_is_no_recovery_time() -> None:
    finding = recovery(quiet("pod_kill"))

    assert (finding.verdict, finding.measured) == (Verdict.PASS, 0.0)


def test_a_missing_replica_counts_to_the_instant_it_is_ready() -> None:
    """The replacement is ready at 44.0 s."""
    assert recovery(healthy()).measured == pytest.approx(44.0 - KILLED)


def test_a_standby_counts_from_the_heal() -> None:
    """The fault is held from 120 to 132.1 s; the standby streams again at 135.4 s."""
    assert recovery(healthy(), "replica_failure").measured == pytest.approx(135.4 - 132.1)


def test_failing_requests_count_to_the_last_of_the_run() -> None:
    finding = recovery(quiet("pod_kill").with_failures("search", 41.0, 50.0))

    assert finding.measured == pytest.approx(50.0 - KILLED, abs=0.03)
    assert "search failing" in finding.because


def test_two_failures_in_a_second_are_the_least_violation() -> None:
    """One failure in a second of 100 requests breaks 0.5 %, but one is chance."""
    assert recovery(quiet("pod_kill").with_count("search", 45.0, 1)).measured == 0.0
    assert recovery(quiet("pod_kill").with_count("search", 45.0, 2)).measured == 0.0  # a settled stretch tolerates 2 of 1,000 ...
    five = recovery(quiet("pod_kill").with_count("search", 45.0, 5)).measured  # ... but 5 are 0.5 %: it starts after the first
    assert five == pytest.approx(45.0 + 5 / 60 - KILLED, abs=0.03)  # and the run of violations that crosses its start ends with the fifth


def test_a_run_that_crosses_the_settled_stretch_moves_recovery_to_its_end() -> None:
    """10 failures at 44.0 s; then 2 at 44.9 s and 2 at 45.8 s, less than 1 s apart: 4 of 1,000 do not unsettle, but R is 45.8 s."""
    run = quiet("pod_kill").with_count("search", 44.0, 10).with_count("search", 44.9, 2).with_count("search", 45.8, 2)

    assert recovery(run).measured == pytest.approx(45.8 + 1 / 60 - KILLED, abs=0.02)


def test_a_run_a_second_later_does_not() -> None:
    """As before, without the failures at 44.9 s: those at 45.8 s are a run of their own."""
    run = quiet("pod_kill").with_count("search", 44.0, 10).with_count("search", 45.8, 2)

    assert recovery(run).measured == pytest.approx(44.0 + 9 / 60 - KILLED, abs=0.03)


def test_an_open_breaker_is_a_violation() -> None:
    run = quiet("pod_kill").with_breaker(GATEWAY_BREAKER, "api-gateway-0", (41.0, "open"), (50.0, "half_open"), (52.5, "closed"))

    assert recovery(run).measured == pytest.approx(52.5 - KILLED)


def test_more_than_one_in_twenty_slow_is_a_violation() -> None:
    """Search may take 600 ms. From 41 to 50 s one request in ten takes 700 ms: 54 of 600 in 10 s."""
    assert recovery(quiet("pod_kill").with_slow("search", 41.0, 50.0, latency_ms=700, every=10)).measured == pytest.approx(9.9, abs=0.1)
    assert recovery(quiet("pod_kill").with_slow("search", 41.0, 50.0, latency_ms=700, every=20)).measured == 0.0
    assert recovery(quiet("pod_kill").with_slow("search", 41.0, 50.0, latency_ms=600, every=10)).measured == 0.0


def without_a_count(start: float, end: float, outcome: Outcome) -> Synthetic:
    """Link latency, held until 92.1 s, in a run of 400 s; in the stretch nothing of the load counts."""
    run = quiet("link_latency", length_s=400.0)
    for route in run.load["load"].routes:
        run = run.with_endings(route, start, end, Ending(outcome, 20.0), sources=("load",))
    return run


def test_requests_that_do_not_count_are_no_recovery_and_no_lateness() -> None:
    """Refused until 103 s: the first 10 s of which half count (or 60) begin after 93 s."""
    finding = recovery(without_a_count(91.0, 103.0, Outcome.RATE_LIMITED), "link_latency")

    assert finding.verdict is Verdict.PASS
    assert finding.measured == pytest.approx(93.6 - 92.1, abs=0.1)  # 60 of 100 a second from 103 s on: the stretch ends at 103.6 s


def test_a_generator_that_stalled_over_the_heal_leaves_it_open() -> None:
    assert recovery(without_a_count(91.0, 104.0, Outcome.GENERATOR), "link_latency").verdict is Verdict.INCONCLUSIVE


def test_a_load_that_never_counts_again_leaves_it_open() -> None:
    assert recovery(without_a_count(91.0, 401.0, Outcome.GENERATOR), "link_latency").verdict is Verdict.INCONCLUSIVE


def test_a_blink_is_no_relapse() -> None:
    finding = recovery(healthy().with_ready("discovery", (40.05, 1), (44.0, 2), (60.0, 1), (60.9, 2)))

    assert (finding.verdict, "again" in finding.because) == (Verdict.PASS, False)


def test_a_relapse_is_told_and_counts_to_its_end() -> None:
    """Ready again at 44 s; one of two from 55 to 70 s: 30 s after the fault all was steady for good."""
    finding = recovery(healthy().with_ready("discovery", (40.05, 1), (44.0, 2), (55.0, 1), (70.0, 2)))

    assert (finding.verdict, finding.measured) == (Verdict.PASS, pytest.approx(70 - KILLED))
    assert "broken again from 15.0 to 30.0 s (discovery: fewer than 2 ready)" in finding.because


@pytest.mark.parametrize(("until", "expected"), [(155.0, Verdict.PASS), (165.0, Verdict.FAIL)])
def test_a_relapse_beyond_two_minutes_is_late(until: float, expected: Verdict) -> None:
    run = quiet("pod_kill").with_ready("discovery", (40.05, 1), (44.0, 2), (60.0, 1), (until, 2))

    assert recovery(run).verdict is expected


def test_a_relapse_whose_end_was_not_seen_leaves_it_open_until_two_minutes_are_over() -> None:
    """In the hour the window ends at 80 s; alone it goes on to 240 s."""
    steps = ((40.05, 1), (44.0, 2), (60.0, 1))

    assert recovery(healthy().with_ready("discovery", *steps)).verdict is Verdict.INCONCLUSIVE
    assert recovery(quiet("pod_kill").with_ready("discovery", *steps)).verdict is Verdict.FAIL


def test_a_route_that_is_slow_again_without_a_pause_has_relapsed() -> None:
    """Search may take 600 ms; it takes 1.9 s from 170 s on, for 12 s or for 8."""
    run = quiet("pod_kill")

    long, short = (recovery(run.with_slow("search", 170.0, 170.0 + length_s, latency_ms=1900)) for length_s in (12.0, 8.0))

    assert (long.verdict, short.verdict) == (Verdict.FAIL, Verdict.PASS)
    assert "search slow" in long.because
    assert "again" not in short.because


def test_what_another_workload_does_is_no_relapse() -> None:
    finding = recovery(quiet("pod_kill").with_ready("sona", (60.0, 1), (200.0, 2)))

    assert (finding.verdict, "again" in finding.because) == (Verdict.PASS, False)


def test_a_route_with_too_few_requests_has_no_latency_to_judge() -> None:
    """Content comes once a second: 30 in the longest stretch, 60 would be needed. All are slow, and the report says so."""
    run = quiet("pod_kill", rates={"search": 60.0, "content": 1.0}).with_slow("content", 41.0, 240.0, latency_ms=500)

    finding = recovery(run)

    assert (finding.verdict, finding.measured) == (Verdict.PASS, 0.0)
    assert finding.because.endswith("too few requests to judge the latency of content")


def test_the_stretch_grows_until_a_route_has_sixty_requests() -> None:
    """Content comes four times a second: 60 in 15 s. One in ten is slow from 41 to 50 s: more than 5 % of 60 until one is left behind."""
    run = quiet("pod_kill", rates={"search": 60.0, "content": 4.0}).with_slow("content", 41.0, 50.0, latency_ms=500, every=8)

    # Slow at 41, 43, 45, 47 and 49 s: 3 of 60 are allowed, so the stretch starts after the second.
    assert recovery(run).measured == pytest.approx(3.001)  # never two in one second: no violation, but not settled either
    window = run.judged().windows[0]
    assert window.recovery.latency_undecided == ()


@pytest.mark.parametrize(("back", "expected"), [(40.002 + 119, Verdict.PASS), (40.002 + 121, Verdict.FAIL)])
def test_the_clock_runs_on_across_later_injections(back: float, expected: Verdict) -> None:
    """The killed pod's replacement is ready 119 s (121 s) after the kill; three other faults were injected meanwhile."""
    finding = recovery(healthy().with_ready("discovery", (40.05, 1), (back, 2)))

    assert finding.verdict is expected
    assert finding.measured == pytest.approx(back - KILLED)


def test_a_replica_that_never_comes_back_fails() -> None:
    finding = recovery(healthy().with_ready("discovery", (40.05, 1)))

    assert finding.verdict is Verdict.FAIL
    assert finding.measured == pytest.approx(240 - KILLED)
    assert finding.because == "not recovered after 200.0 s (discovery: fewer than 2 ready)"


def test_the_end_of_the_run_before_the_limit_proves_nothing() -> None:
    """The breaker stays open from 201.5 s on; the fault ended at 212.1 s, the run ends at 240 s."""
    run = healthy().with_breaker(PUBNUB_BREAKER, "sync-0", (201.5, "open"))

    finding = recovery(run, "partition")

    assert (finding.verdict, finding.because) == (
        Verdict.INCONCLUSIVE,
        f"not recovered after 27.9 of 120 s ({PUBNUB_BREAKER} not closed on sync-0)",
    )


def test_a_violation_that_the_next_fault_may_make_too_cannot_be_told_apart() -> None:
    """Search fails from 45 to 100 s; from 80 s on the slow link may be the reason."""
    finding = recovery(quiet().with_failures("search", 45.0, 100.0, every=2))

    assert (finding.verdict, finding.because) == (Verdict.INCONCLUSIVE, "not recovered after 40.0 of 120 s (search failing)")


def test_a_violation_that_the_next_fault_does_not_touch_is_followed() -> None:
    """Content is affected by the kill and not by the slow link: it fails from 41 to 100 s."""
    run = healthy().with_failures("content", 41.0, 100.0, every=2)

    assert recovery(run).verdict is Verdict.PASS
    assert recovery(run).measured == pytest.approx(60.0, abs=0.3)


def test_it_is_followed_no_further_than_to_a_fault_that_touches_it() -> None:
    """Content fails on and on; from 120 s on the failed replica may be the reason."""
    finding = recovery(quiet().with_failures("content", 41.0, 150.0, every=2))

    assert finding.because == "not recovered after 80.0 of 120 s (content failing)"


def test_another_routes_failures_across_the_boundary_cannot_be_told_apart() -> None:
    """The kill's own shortage ends at 85 s, but watchlist, which it should not touch, fails across the next injection."""
    run = healthy().with_ready("discovery", (40.05, 1), (85.0, 2)).with_failures("watchlist", 70.0, 90.0)

    assert recovery(run).verdict is Verdict.INCONCLUSIVE


def test_a_long_window_that_never_settles_fails() -> None:
    """One search request in a hundred: never two in one second, so no violation, but 0.6 % of every 10 s fail."""
    run = quiet("pod_kill").with_failures("search", 40.0, 240.0, every=100, sources=["load"])

    assert recovery(run).verdict is Verdict.FAIL


def test_a_fault_that_was_not_taken_away_has_no_recovery() -> None:
    finding = recovery(healthy().without_step("link_latency", "healed"), "link_latency")

    assert finding.because == "the fault was never taken away, so recovery has no beginning"
    assert finding.verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("probe", ["pods", "breakers", "replication"])
def test_what_was_not_seen_has_not_recovered(probe: str) -> None:
    finding = recovery(healthy().with_silence(probe, 41.0, 46.0))

    assert finding.verdict is Verdict.INCONCLUSIVE
    assert f"{probe} was silent" in finding.because


def test_a_shortage_that_nobody_looked_at_again_is_no_fail() -> None:
    """The pods probe dies 5 s after the kill: nobody knows when the replacement came."""
    run = healthy().with_ready("discovery", (40.05, 1)).with_silence("pods", 45.0, 250.0)

    assert recovery(run).verdict is Verdict.INCONCLUSIVE


def test_windows_of_faults_injected_before_recovery_are_contaminated() -> None:
    """The replacement comes at 130 s: the faults at 80 and 120 s are contaminated, those at 160 and 200 s are not."""
    judged = healthy().with_ready("discovery", (40.05, 1), (130.0, 2)).judged()

    by = {window.name: window.contaminated_by for window in judged.windows}
    assert by == {"pod_kill": None, "link_latency": "pod_kill", "replica_failure": "pod_kill", "cache_flush": None, "partition": None}
    spoiled = {cell.criterion: cell.finding.verdict for cell in judged.cells if cell.fault == "link_latency" and cell.finding}
    assert set(spoiled.values()) == {Verdict.INCONCLUSIVE, Verdict.PASS}
    assert spoiled["validity"] is Verdict.PASS
    after = next(cell for cell in judged.cells if (cell.fault, cell.criterion) == ("pod_kill", "error_rate_after"))
    assert after.finding is not None
    assert after.finding.verdict is Verdict.INCONCLUSIVE
