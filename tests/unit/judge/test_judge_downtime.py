"""`zero_downtime`: rows of at least 5 requests and 1 s. Search is due 60 times a second, the outside probe 10 times a route."""

import pytest
from synthetic import Ending, Synthetic, healthy, quiet

from steady_state.outcomes import Outcome
from steady_state.verdict import Verdict

REFUSED_429 = Ending(Outcome.RATE_LIMITED, 20.0)


def verdict_of(run: Synthetic, fault: str = "pod_kill") -> Verdict:
    return run.finding(fault, "zero_downtime").verdict


def test_ninetenths_of_a_second_passes() -> None:
    finding = healthy().with_failures("search", 50.0, 50.9).finding("pod_kill", "zero_downtime")

    assert (finding.verdict, finding.measured, finding.n) == (Verdict.PASS, 0.9, 1)


def test_one_second_fails_and_says_where() -> None:
    finding = healthy().with_failures("search", 50.0, 51.0).finding("pod_kill", "zero_downtime")

    assert (finding.verdict, finding.measured, finding.limit, finding.unit) == (Verdict.FAIL, 1.0, 1.0, "s")
    # 60 requests of the load and 10 of the outside probe.
    assert finding.because == "search down 1.0 s: 70 requests in a row not served, 50.0 s to 51.0 s"


def test_length_is_judged_to_a_tenth_of_a_second() -> None:
    """58 requests of search are 0.967 s: 1.0 s to 0.1 s."""
    assert verdict_of(healthy().with_failures("search", 50.0, 50.966)) is Verdict.FAIL


@pytest.mark.parametrize(("failed", "expected"), [(4, Verdict.PASS), (5, Verdict.FAIL)])
def test_a_row_needs_five_requests(failed: int, expected: Verdict) -> None:
    """Content is due ten times a second: `failed` of them fail, the others until 51.6 s are answered 429, which is no service."""
    run = quiet("pod_kill").with_endings("content", 50.0, 51.6, REFUSED_429).with_count("content", 50.0, failed)

    finding = run.finding("pod_kill", "zero_downtime")

    assert (finding.verdict, finding.measured) == (expected, 1.6 if expected is Verdict.FAIL else 0.0)


def test_a_429_does_not_break_a_row() -> None:
    run = quiet("pod_kill").with_failures("content", 50.0, 51.2).with_endings("content", 50.5, 50.7, REFUSED_429)

    assert run.finding("pod_kill", "zero_downtime").measured == 1.2


def test_a_row_of_429_alone_is_no_downtime() -> None:
    assert verdict_of(quiet("pod_kill").with_endings("content", 50.0, 52.0, REFUSED_429)) is Verdict.PASS


def test_one_served_request_breaks_a_row() -> None:
    """0.9 s, one served request of the load, 0.9 s: two intervals, neither as long as 1 s."""
    before = healthy().with_failures("search", 50.0, 50.9)
    run = before.with_failures("search", 50.92, 51.8)

    assert (verdict_of(run), run.finding("pod_kill", "zero_downtime").n) == (Verdict.PASS, 2)


def test_load_and_outside_probe_are_one_row() -> None:
    """The load fails for 3 s, but each tenth of a second somebody outside was served."""
    assert verdict_of(healthy().with_failures("search", 50.0, 53.0, sources=["load"])) is Verdict.PASS
    assert verdict_of(healthy().with_failures("search", 50.0, 53.0, sources=["outside"])) is Verdict.PASS
    assert verdict_of(healthy().with_failures("search", 50.0, 53.0)) is Verdict.FAIL


def test_routes_are_judged_each_for_itself() -> None:
    """Content is down for 2 s while search goes on."""
    assert "content down 2.0 s" in healthy().with_failures("content", 50.0, 52.0).finding("pod_kill", "zero_downtime").because


def test_an_open_interval_lasts_to_the_end() -> None:
    """The load ends at 240.25 s; nothing is served from 239.0 s on."""
    finding = healthy().with_failures("search", 239.0, 241.0).finding("partition", "zero_downtime")

    assert (finding.verdict, finding.measured) == (Verdict.FAIL, 1.2)
    assert finding.because.endswith("239.0 s to the end of the record")


def test_an_interval_belongs_to_the_window_in_which_it_begins() -> None:
    run = healthy().with_failures("search", 79.0, 81.0)

    assert verdict_of(run, "pod_kill") is Verdict.FAIL
    assert verdict_of(run, "link_latency") is Verdict.PASS


def test_downtime_stays_charged_to_a_fault_that_has_not_recovered() -> None:
    """The killed pod is replaced at 90 s only; search is down for 1.5 s after the next injection at 80 s."""
    run = healthy().with_ready("discovery", (40.05, 1), (90.0, 2)).with_failures("search", 83.0, 84.5)

    assert verdict_of(run, "pod_kill") is Verdict.FAIL
    assert verdict_of(run, "link_latency") is Verdict.INCONCLUSIVE


def test_downtime_after_recovery_is_the_next_faults() -> None:
    """As before, but search is down after the pod is back."""
    run = healthy().with_ready("discovery", (40.05, 1), (90.0, 2)).with_failures("search", 95.0, 96.5)

    assert verdict_of(run, "pod_kill") is Verdict.PASS
    assert verdict_of(run, "link_latency") is Verdict.INCONCLUSIVE


def test_downtime_that_began_before_minute_0_is_the_baselines() -> None:
    assert verdict_of(healthy().with_failures("search", -0.5, 1.0), "baseline") is Verdict.FAIL
    assert verdict_of(healthy().with_failures("search", -3.0, -1.0), "baseline") is Verdict.PASS


@pytest.mark.parametrize("source", ["load", "outside"])
def test_without_a_record_of_either_source_nothing_is_proved(source: str) -> None:
    finding = healthy().without_tallies(60.0, 61.0, source=source).finding("pod_kill", "zero_downtime")

    assert finding.verdict is Verdict.INCONCLUSIVE
    assert f"without a record of source {source} (first at 60 s)" in finding.because


def test_downtime_seen_is_a_fail_even_beside_a_gap() -> None:
    assert verdict_of(healthy().with_failures("search", 50.0, 52.0).without_tallies(60.0, 61.0)) is Verdict.FAIL


def test_a_request_under_way_at_the_injection_begins_the_downtime_of_the_fault_not_of_the_baseline() -> None:
    """The kill is at 40 s; failures show 20 ms after they were due. 15 ms before it a request was under way, 100 ms before not."""
    hit = healthy().with_failures("search", 39.985, 42.5)
    assert (verdict_of(hit, "baseline"), verdict_of(hit, "pod_kill")) == (Verdict.PASS, Verdict.FAIL)

    earlier = healthy().with_failures("search", 39.9, 42.5)
    assert (verdict_of(earlier, "baseline"), verdict_of(earlier, "pod_kill")) == (Verdict.FAIL, Verdict.PASS)
