"""`state_kept`: 100 requests are due in a second, so that 5 of the 1,000 of ten seconds are the limit."""

import pytest
from synthetic import Ending, Synthetic, healthy

from steady_state.outcomes import Outcome
from steady_state.verdict import Finding, Verdict

REFUSED = Ending(Outcome.CLIENT_ERROR, 5.0)


def state_kept(run: Synthetic, fault: str = "cache_flush") -> Finding:
    return run.finding(fault, "state_kept")


def test_no_new_refusals() -> None:
    finding = state_kept(healthy())

    assert finding.verdict is Verdict.PASS
    assert finding.because == "no 4xx that the baseline did not know, in 1000 requests of any 10 s"


@pytest.mark.parametrize(("count", "expected"), [(5, Verdict.PASS), (6, Verdict.FAIL)])
def test_more_than_half_a_percent_of_ten_seconds_fails(count: int, expected: Verdict) -> None:
    """They are due within 2 s, so ten seconds hold them all."""
    finding = state_kept(healthy().with_count("watchlist", 165.0, count, Outcome.CLIENT_ERROR))

    assert (finding.verdict, finding.measured) == (expected, count / 1000)


def test_the_last_seconds_of_a_window_count_too() -> None:
    """It is 39.998 s long: the last ten seconds do not begin at a whole one. All of its last second is refused, nearly 100 of 1,000."""
    run = healthy()
    for route in run.load["load"].routes:
        run = run.with_endings(route, 199.02, 200.0, REFUSED, sources=("load",))

    finding = state_kept(run)

    assert finding.verdict is Verdict.FAIL
    assert finding.measured == pytest.approx(0.097, abs=0.003)


def test_what_the_baseline_knew_is_not_new() -> None:
    """Every fourth answer of content is a 404, all the time: 25 of 1,000 here as there."""
    run = healthy().with_endings("content", 0.0, 240.0, REFUSED, every=4)

    assert state_kept(run).verdict is Verdict.PASS


def test_more_of_what_the_baseline_knew_is_new() -> None:
    """A tenth of content is 404 at the baseline, all of it for 10 s after the flush: 100 less 10 of 1,000."""
    run = healthy().with_endings("content", 0.0, 240.0, REFUSED, every=10).with_endings("content", 165.0, 175.0, REFUSED)

    finding = state_kept(run)

    assert finding.verdict is Verdict.FAIL
    assert finding.measured == pytest.approx(0.09, abs=0.001)


def test_refusals_of_another_window_are_not_this_ones() -> None:
    run = healthy().with_count("watchlist", 205.0, 50, Outcome.CLIENT_ERROR)

    assert (state_kept(run).verdict, state_kept(run, "partition").verdict) == (Verdict.PASS, Verdict.FAIL)


def test_seconds_that_were_not_recorded_prove_nothing() -> None:
    assert state_kept(healthy().without_tallies(170, 172)).verdict is Verdict.INCONCLUSIVE


def test_refusals_at_the_baseline_leave_its_own_row_open() -> None:
    """A token that is wrong from the start must not look like a healthy platform."""
    run = healthy().with_endings("watchlist", 0.0, 40.0, REFUSED)

    assert run.finding("baseline", "error_rate_after").verdict is Verdict.INCONCLUSIVE
