"""Recordings on which a judge that looks less closely says PASS, or FAIL where nobody could see: each found by somebody who tried."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
from synthetic import LOAD_START, MINUTE_0, PUBNUB_BREAKER, REPLICAS, Ending, Synthetic, healthy, quiet

from steady_state import observations as obs
from steady_state.counters import since_first
from steady_state.outcomes import Outcome
from steady_state.verdict import Verdict

PER_POD = 70
"""Tries a second of each of two pods: together one for each of 140 due requests."""


def changed(run: Synthetic, change: Callable[[obs.Observation], obs.Observation]) -> Synthetic:
    return run.with_change(lambda line: [change(line)])


def of_one_name(line: obs.Observation) -> obs.Observation:
    """PostgreSQL calls every standby `walreceiver` that nobody gave a name."""
    if not isinstance(line, obs.ReplicationLine):
        return line
    return line.model_copy(update={"replicas": [one.model_copy(update={"name": "walreceiver"}) for one in line.replicas]})


def counting(counter: Callable[[float], float]) -> Callable[[obs.Observation], obs.Observation]:
    """Tries at PubNub as each pod counts them, by the seconds since minute 0."""

    def change(line: obs.Observation) -> obs.Observation:
        return line.model_copy(update={"calls": {"pubnub": int(counter(line.t - MINUTE_0))}}) if isinstance(line, obs.CallsLine) else line

    return change


def test_a_standby_that_is_lost_is_missed_where_all_have_one_name() -> None:
    run = changed(healthy(), of_one_name)
    assert run.finding("replica_failure", "recovery_time").verdict is Verdict.PASS
    run.standbys = [(LOAD_START, 3), (120.0, 2)]
    assert "standbys: fewer than 3 ready" in run.finding("replica_failure", "recovery_time").because


def test_standbys_that_nobody_saw_before_minute_0_prove_nothing() -> None:
    run = healthy().without(lambda line: isinstance(line, obs.ReplicationLine) and line.t <= MINUTE_0)
    renumbered = healthy().with_change(lambda line: [] if isinstance(line, obs.ReplicationLine) and line.t <= MINUTE_0 else [line])
    for one in (run, renumbered):
        assert one.finding("replica_failure", "validity").verdict is Verdict.INCONCLUSIVE
    assert "no standby was seen before minute 0" in renumbered.finding("replica_failure", "validity").because


def test_what_a_workload_should_have_is_not_told_by_one_instant() -> None:
    """One of two pods is not ready at minute 0, ready half a second later; the killed one never comes back."""

    def early(line: obs.Observation) -> obs.Observation:
        if isinstance(line, obs.PodsLine) and line.workload == "discovery" and line.t < MINUTE_0:
            return line.model_copy(
                update={"pods": [obs.PodState(name="discovery-0", ready=True), obs.PodState(name="discovery-1", ready=False)]}
            )
        return line

    run = changed(healthy(), early)
    run.ready["discovery"] = [run.ready["discovery"][0], (0.5, ("discovery-0", "discovery-1")), (40.05, ("discovery-1",))]

    found = run.finding("pod_kill", "recovery_time")

    assert found.verdict is Verdict.FAIL
    assert found.because == "not recovered after 200.0 s (discovery: fewer than 2 ready)"


def test_errors_too_thin_for_a_violation_are_not_steady() -> None:
    """1 of 100 requests fails, evenly, until 155 s after the fault ended: the limit of a settled stretch is half of that."""
    run = quiet("link_latency", length_s=680.0).with_endings(
        "search", 92.0, 247.0, Ending(Outcome.SERVER_ERROR, 20.0), every=60, sources=["load"]
    )

    found = run.finding("link_latency", "recovery_time")

    assert found.verdict is Verdict.FAIL
    assert found.measured == pytest.approx(149.9, abs=0.1)


@pytest.mark.parametrize("restarted", [False, True], ids=["the same container", "a new container of the same name"])
def test_a_storm_is_seen_across_a_restart(restarted: bool) -> None:
    """Five times the usual tries for 10 s from 60 s; the containers begin to count anew just before."""

    def counter(t: float) -> float:
        usual = PER_POD * (t + 20)
        return usual + 4 * PER_POD * min(max(0.0, t - 60), 10) - (PER_POD * 79.9 if restarted and t >= 59.9 else 0)

    found = changed(healthy(), counting(counter)).finding("pod_kill", "amplification")

    assert found.verdict is Verdict.FAIL
    assert found.measured == pytest.approx(4.8, abs=0.05)


def test_counters_go_on_counting_across_a_restart() -> None:
    lines = [
        obs.CallsLine(t=float(t), pod="p", calls={"x": x}, errors={"x": e}) for t, (x, e) in enumerate([(5, 1), (8, 2), (3, 0), (4, 1)])
    ]
    assert [line.calls["x"] for line in since_first(lines)] == [5, 8, 11, 12]
    assert [line.errors["x"] for line in since_first(lines)] == [1, 2, 2, 3]


def test_a_breaker_that_never_opens_is_seen_across_a_restart() -> None:
    run = healthy().with_breaker(PUBNUB_BREAKER, "sync-1").with_errors("sync-1", (-15, 100), (203, 30))

    found = run.finding("partition", "breakers")

    assert found.verdict is Verdict.FAIL
    assert "never opened on sync-1 although 30 tries failed" in found.because


def breaker(run: Synthetic, *states: tuple[float, str]) -> Synthetic:
    for pod in REPLICAS[PUBNUB_BREAKER]:
        run = run.with_breaker(PUBNUB_BREAKER, pod, *states)
    return run


def test_opening_when_the_fault_is_over_is_no_opening_in_time() -> None:
    run = breaker(healthy(), (217.5, "open"), (225.0, "closed"))
    for pod in REPLICAS[PUBNUB_BREAKER]:
        run = run.with_errors(pod, (0.0, 0))

    found = run.finding("partition", "breakers")

    assert found.verdict is Verdict.FAIL
    assert "after 17.5 s, when the fault was over and fewer than 3 tries had failed" in found.because


def test_a_breaker_that_was_open_already_did_not_open() -> None:
    found = breaker(healthy(), (199.9, "open"), (214.0, "closed")).finding("partition", "breakers")

    assert found.verdict is Verdict.INCONCLUSIVE
    assert "was not closed when the fault began" in found.because


def test_hanging_is_not_failing_fast() -> None:
    """Nine of ten requests wait in vain while the breaker is open; the median of those served is fast."""
    run = copy.deepcopy(healthy())
    load = run.load["load"]
    for number in range(load.first_at_or_after("watchlist", MINUTE_0 + 201.5), load.first_at_or_after("watchlist", MINUTE_0 + 214)):
        if number % 10:
            run.endings["load", "watchlist", number] = Ending(Outcome.TIMEOUT, 5000.0)

    found = run.finding("partition", "breakers")

    assert found.verdict is Verdict.FAIL
    assert "requests of watchlist hung while sync->pubnub was open" in found.because


def test_a_held_fault_that_went_away_early_is_not_the_planned_one() -> None:
    found = healthy().with_step("link_latency", "healed", 82.1).finding("link_latency", "validity")

    assert found.verdict is Verdict.INCONCLUSIVE
    assert "it lasted only 2.1 of 12 s" in found.because


def test_what_failed_until_a_run_was_ended_did_fail() -> None:
    """The search fails from the injection on; the run is ended 6 s later and heals."""
    run = healthy().with_failures("search", 80.1, 86.0).with_step("link_latency", "healed", 86.4)
    run.extra.append(obs.PhaseLine(t=MINUTE_0 + 86.0, phase="aborting"))

    assert run.finding("link_latency", "zero_downtime").verdict is Verdict.FAIL


def test_a_proof_before_the_injection_proves_something_else() -> None:
    found = healthy().with_step("pod_kill", "proof", 39.0, grade="felt", detail="x").finding("pod_kill", "validity")

    assert found.verdict is Verdict.INCONCLUSIVE
    assert "its effect was felt 1.00 s before it was injected" in found.because


def test_a_baseline_that_nobody_counted_is_no_measure() -> None:
    """Tries are read from 39 s on: what is usual is not known, so nothing is ten times it."""
    run = changed(healthy(), counting(lambda t: PER_POD * (t + 20))).without(
        lambda line: isinstance(line, obs.CallsLine) and line.t < MINUTE_0 + 39
    )
    run.extra.append(obs.GapLine(t=MINUTE_0 + 39, probe="calls", subject="sync-0", from_t=MINUTE_0 - 15, reason="timed out"))

    assert run.finding("pod_kill", "amplification").verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(("queued", "expected"), [(["pubnub"], Verdict.PASS), ([], Verdict.FAIL), (None, Verdict.PASS)])
def test_only_where_work_is_queued_a_storm_may_follow_a_lull(queued: list[str] | None, expected: Verdict) -> None:
    """No tries for 30 s after the injection, then five and a half times the usual ones for 10 s. None: a recording that does not say."""

    def counter(t: float) -> float:
        if t < 40:
            return PER_POD * (t + 20)
        return PER_POD * (60 + 5.5 * min(max(0.0, t - 70), 10))

    run = changed(healthy(), counting(counter))
    run.plan = run.plan.model_copy(update={"queued": queued})

    assert run.finding("pod_kill", "amplification").verdict is expected
