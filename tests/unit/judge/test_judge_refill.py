"""`refill`: 80 lookups a second of which 60 hit. After the flush at 160 s they all miss for a while."""

import copy
from collections.abc import Callable, Iterable

import pytest
from synthetic import MINUTE_0, Synthetic, healthy

from steady_state import observations as obs
from steady_state.verdict import Finding, Verdict


def refill(run: Synthetic) -> Finding:
    """Judged against 60 s, half of what the criteria set says: the hour of these tests ends 80 s after its flush."""
    run = copy.deepcopy(run)
    run.plan = run.plan.model_copy(update={"limits": run.plan.limits.model_copy(update={"refill_s": 60.0})})
    return run.finding("cache_flush", "refill")


def cold(seconds: int, *, hits_per_s: int = 0, lookups_per_s: int = 80) -> Callable[[obs.Observation], Iterable[obs.Observation]]:
    """From the first reading after the flush on, so many seconds have only these hits; before and after 3 of 4 lookups hit."""

    def change(line: obs.Observation) -> Iterable[obs.Observation]:
        if not isinstance(line, obs.CacheLine):
            return [line]
        second = round(line.t - MINUTE_0 - 0.4)
        missed = max(0, min(second - 160, seconds))
        lookups = lookups_per_s * (second + 20)
        usual = lookups_per_s * 3 // 4
        hits = usual * (second + 20) - (usual - hits_per_s) * missed
        return [line.model_copy(update={"hits": hits, "misses": lookups - hits})]

    return change


def test_a_cache_that_fills_at_once_passes_at_the_first_reading() -> None:
    finding = refill(healthy())

    assert (finding.verdict, finding.measured, finding.limit) == (Verdict.PASS, 0.4, 60)


@pytest.mark.parametrize(
    ("seconds", "expected", "measured"), [(20, Verdict.PASS, 19.4), (60, Verdict.PASS, 59.4), (61, Verdict.FAIL, 60.4)]
)
def test_the_time_until_ten_seconds_have_nine_tenths_of_the_rate(seconds: int, expected: Verdict, measured: float) -> None:
    """Of 10 s, 9 are warm when the stretch starts 1 s before the cold time ends: 540 hits of 600, which is 90 %."""
    finding = refill(healthy().with_change(cold(seconds)))

    assert (finding.verdict, finding.measured) == (expected, measured)


def test_the_clock_runs_on_across_the_next_fault() -> None:
    """The partition comes at 200 s; the cache is cold until 215 s."""
    assert refill(healthy().with_change(cold(55))).verdict is Verdict.PASS


def test_a_cache_that_never_fills_fails() -> None:
    finding = refill(healthy().with_change(cold(1000, hits_per_s=30)))

    assert finding.verdict is Verdict.FAIL
    assert finding.because == "not refilled after 60 s: hit rate 75.0% before, 37.5% in the first 10 s after the flush, at best 37.5%"


def test_a_run_that_ends_first_is_inconclusive() -> None:
    run = healthy().with_change(cold(1000))
    run.plan = run.plan.model_copy(update={"length_s": 225.0})

    finding = refill(run)

    assert finding.verdict is Verdict.INCONCLUSIVE
    assert finding.because.startswith("not refilled after 54.4 of 60 s")


@pytest.mark.parametrize(("end_s", "expected"), [(231.9, Verdict.INCONCLUSIVE), (232.1, Verdict.FAIL)])
def test_it_fails_once_every_stretch_that_begins_within_the_limit_has_been_read(end_s: float, expected: Verdict) -> None:
    """60 s, 10 s of the last stretch, 2 s for readings that come late."""
    run = healthy().with_change(cold(1000, hits_per_s=30))
    run.plan = run.plan.model_copy(update={"length_s": end_s})
    assert refill(run).verdict is expected


@pytest.mark.parametrize("asked_s", [0, 15])
def test_lookups_that_stop_after_the_flush_prove_nothing(asked_s: int) -> None:
    """Nobody knows whether the cache would have been full again by 60 s."""

    def change(line: obs.Observation) -> Iterable[obs.Observation]:
        if not isinstance(line, obs.CacheLine):
            return [line]
        second = min(round(line.t - MINUTE_0 - 0.4), 160 + asked_s)
        warm = min(second, 160) + 20
        lookups = 80 * (second + 20)
        return [line.model_copy(update={"hits": 60 * warm, "misses": lookups - 60 * warm})]

    finding = refill(healthy().with_change(change))

    assert finding.verdict is Verdict.INCONCLUSIVE
    assert finding.because.startswith("not refilled after ")


def test_a_cache_that_nobody_asked_proves_nothing() -> None:
    """9 lookups a second: 90 in 10 s, 100 would suffice."""
    finding = refill(healthy().with_change(cold(0, lookups_per_s=8)))

    assert finding.verdict is Verdict.INCONCLUSIVE
    assert "100 lookups with hits among them would suffice" in finding.because


def test_counters_that_were_not_read_prove_nothing() -> None:
    assert refill(healthy().with_silence("cache", 150, 155)).verdict is Verdict.INCONCLUSIVE
