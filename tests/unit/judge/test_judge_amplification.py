"""`amplification`: two pods make 35 tries a second each at Qdrant, for 140 due requests a second: half a try a request."""

from collections.abc import Callable, Iterable

import pytest
from synthetic import MINUTE_0, Synthetic, healthy

from steady_state import observations as obs
from steady_state.verdict import Finding, Verdict


def amplification(run: Synthetic, fault: str = "link_latency") -> Finding:
    return run.finding(fault, "amplification")


def storm(
    start: int, end: int, *, factor: float, usual: int = 35, born: float = -15
) -> Callable[[obs.Observation], Iterable[obs.Observation]]:
    """From `start` to `end` every pod makes `factor` times its usual tries."""

    def change(line: obs.Observation) -> Iterable[obs.Observation]:
        if not isinstance(line, obs.CallsLine):
            return [line]
        second = round(line.t - MINUTE_0 - 0.4)
        more = max(0, min(second, end) - start) * (factor - 1)
        return [line.model_copy(update={"calls": {"qdrant": round(usual * (second + 20 + more))}})]

    return change


@pytest.mark.parametrize(("factor", "expected"), [(1.0, Verdict.PASS), (3.0, Verdict.PASS), (3.1, Verdict.FAIL)])
def test_three_times_the_usual_tries_are_too_many(factor: float, expected: Verdict) -> None:
    """The storm lasts from 82 to 102 s: it fills ten seconds."""
    finding = amplification(healthy().with_change(storm(82, 102, factor=factor)))

    assert finding.verdict is expected
    assert finding.measured == pytest.approx(factor, abs=0.06)
    assert finding.limit == 3.0


def test_a_storm_before_the_fault_is_not_the_faults() -> None:
    assert amplification(healthy().with_change(storm(50, 60, factor=9))).verdict is Verdict.PASS


def test_a_dependency_that_is_hardly_used_counts_as_a_tenth_of_a_try() -> None:
    """One try a second and pod are 0.014 a request: 20 times that are 0.29 a request, less than three tenths; 22 times are more."""
    few = amplification(healthy().with_change(storm(82, 102, factor=20, usual=1)))
    many = amplification(healthy().with_change(storm(82, 102, factor=22, usual=1)))

    assert (few.verdict, many.verdict) == (Verdict.PASS, Verdict.FAIL)


def test_a_new_pods_counter_counts_from_zero() -> None:
    """The replacement of discovery-0 had made 5,000 tries when it was first read at 44.4 s: 5,000 for 1,400 requests."""
    run = healthy()
    for second in range(44, 60):
        run = run.with_line(obs.CallsLine(t=MINUTE_0 + second + 0.4, pod="discovery-2", calls={"qdrant": 5000}))

    finding = amplification(run, "pod_kill")

    assert finding.verdict is Verdict.FAIL
    assert finding.because.startswith("qdrant: at most 35.7 times its usual tries (3.57 against 0.10 a request")


def test_a_counter_that_was_read_late_is_no_storm() -> None:
    """The replacement is first read at 64.4 s, with the tries of 20 s: they came while nobody looked, not in one second."""
    run = healthy().with_line(
        obs.GapLine(t=MINUTE_0 + 64.4, from_t=MINUTE_0 + 44.0, probe="calls", subject="discovery-2", reason="refused")
    )
    for second in range(64, 80):
        run = run.with_line(obs.CallsLine(t=MINUTE_0 + second + 0.4, pod="discovery-2", calls={"qdrant": 5000}))

    finding = amplification(run, "pod_kill")

    assert finding.verdict is Verdict.INCONCLUSIVE
    assert "calls saw nothing of discovery-2" in finding.because


def test_a_storm_that_was_seen_fails_whatever_else_was_not() -> None:
    """Qdrant's storm of five times is seen throughout; a counter of another dependency is read late, with more."""
    gap = obs.GapLine(t=MINUTE_0 + 64.4, from_t=MINUTE_0 + 44.0, probe="calls", subject="discovery-2", reason="refused")
    run = healthy().with_change(storm(66, 78, factor=5)).with_line(gap)
    for second in range(64, 80):
        run = run.with_line(obs.CallsLine(t=MINUTE_0 + second + 0.4, pod="discovery-2", calls={"redis": 9000}))

    finding = amplification(run, "pod_kill")

    assert (finding.verdict, finding.because.partition(":")[0]) == (Verdict.FAIL, "qdrant")


def test_counters_that_were_not_read_prove_nothing() -> None:
    assert amplification(healthy().with_silence("calls", 85, 90)).verdict is Verdict.INCONCLUSIVE


def test_a_platform_that_counts_nothing_is_not_judged() -> None:
    run = healthy().with_change(lambda line: [] if isinstance(line, obs.CallsLine) else [line])

    assert amplification(run).because == "no service's tries were counted"


def test_work_that_was_put_off_is_not_work_multiplied() -> None:
    """From 82 s on nothing is tried for 20 s; then five times the usual for 5 s make up for it. The same burst alone is too much."""
    pause = storm(82, 102, factor=0)
    burst = healthy().with_change(storm(102, 108, factor=5))

    made_up = amplification(healthy().with_change(both(pause, storm(102, 107, factor=5))))

    assert (made_up.verdict, amplification(burst).verdict) == (Verdict.PASS, Verdict.FAIL)
    assert made_up.measured == pytest.approx(1.0, abs=0.1)


def both(
    one: Callable[[obs.Observation], Iterable[obs.Observation]], other: Callable[[obs.Observation], Iterable[obs.Observation]]
) -> Callable[[obs.Observation], Iterable[obs.Observation]]:
    """The tries of both changes together, less what either has without its storm."""

    def change(line: obs.Observation) -> Iterable[obs.Observation]:
        (first,), (second,) = one(line), other(line)
        if not (isinstance(first, obs.CallsLine) and isinstance(second, obs.CallsLine)):
            return [line]
        usual = 35 * (round(line.t - MINUTE_0 - 0.4) + 20)
        return [line.model_copy(update={"calls": {"qdrant": first.calls["qdrant"] + second.calls["qdrant"] - usual}})]

    return change
