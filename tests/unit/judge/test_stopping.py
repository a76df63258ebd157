"""Stop conditions: seconds in a row beyond a limit, of the load's own seconds and the samplers' beats."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from steady_state.latency import bucket_index
from steady_state.load_plan import LoadPlan, RoutePlan
from steady_state.observations import (
    BeatLine,
    LoadPlanLine,
    Observation,
    PodsLine,
    PodState,
    ReplicaState,
    ReplicationLine,
    RouteTally,
    TallyLine,
)
from steady_state.outcomes import Outcome
from steady_state.stopping import StopLimits, StopWatch

ROUTES = {name: RoutePlan(rate_per_s=10, phase_s=0, maximum_ms=100) for name in ("search", "content")}
PLAN = LoadPlanLine(t=0, plan=LoadPlan(source="load", start_s=0, routes=ROUTES))


def second(number: int, *, failed: int = 0, down: str = "", slow: str = "", source: str = "load") -> TallyLine:
    """Ten requests a route, of which `failed` of search fail, all of `down`, and all of `slow` take 300 ms."""
    routes = {}
    for route in ROUTES:
        bad = 10 if route == down else failed if route == "search" else 0
        latency = [(bucket_index(300_000 if route == slow else 20_000), 10 - bad)] if bad < 10 else []
        routes[route] = RouteTally(due=10, counts={Outcome.FRESH: 10 - bad, Outcome.SERVER_ERROR: bad}, latency=latency)
    return TallyLine(t=number + 1, source=source, second=number, routes=routes)


def first_reason(limits: StopLimits, *lines: Observation) -> tuple[int, str] | None:
    """After how many lines the run ends, and why."""
    watch = StopWatch(limits, "load")
    assert watch.see(PLAN) == ""
    return next(((number, reason) for number, line in enumerate(lines, start=1) if (reason := watch.see(line))), None)


def test_errors_must_last() -> None:
    """6 of 20 are 30 %; one better second begins the count anew."""
    limits = StopLimits(error_ratio=0.25, for_s=3)
    bad, good = [second(number, failed=6) for number in range(9)], second(9)
    assert first_reason(limits, *bad[:2], good, *bad[:2]) is None
    assert first_reason(limits, *bad[:2], good, *bad[:3]) == (6, "more than 25% of the requests failed in each of 3 s")
    assert first_reason(limits, *(second(number, failed=5) for number in range(9))) is None


def test_a_route_that_answers_nothing_ends_the_run_after_its_time() -> None:
    seconds = [second(number, down="content") for number in range(9)]
    assert first_reason(StopLimits(downtime_s=5), *seconds) == (5, "content answered nothing for 5 s")


def test_a_slow_route_ends_the_run_when_it_lasts() -> None:
    seconds = [second(number, slow="content") for number in range(9)]
    assert first_reason(StopLimits(p95_factor=2.5, for_s=4), *seconds) == (4, "p95 of content was above 250 ms in each of 4 s")
    assert first_reason(StopLimits(p95_factor=3.5, for_s=4), *seconds) is None


def test_a_blind_sampler_ends_the_run() -> None:
    beats = [BeatLine(t=number, probe="pods", seen={"pods": 0 if number > 1 else 4}) for number in range(9)]
    assert first_reason(StopLimits(blind_s=4), *beats) == (6, "pods saw nothing of pods for 4 s")
    assert first_reason(StopLimits(error_ratio=0.1), *beats) is None


def pods(ready: int, *, workload: str = "sync") -> PodsLine:
    return PodsLine(t=0, workload=workload, pods=[PodState(name=f"{workload}-{number}", ready=number < ready) for number in range(2)])


def standbys(streaming: int) -> ReplicationLine:
    states = ["streaming"] * streaming + ["startup"]
    return ReplicationLine(t=0, replicas=[ReplicaState(name=f"r{number}", state=state, lag_bytes=0) for number, state in enumerate(states)])


def beats(probe: str, *looks: int) -> list[BeatLine]:
    return [BeatLine(t=number, probe=probe, seen={"subject": count}) for number, count in enumerate(looks)]


def test_too_few_ready_pods_end_the_run_when_it_lasts() -> None:
    """A workload is told once when it changes; its seconds are those in which the sampler saw."""
    limits = StopLimits(ready_pods=1, for_s=3)
    lasting = [pods(2, workload="auth"), pods(0), *beats("pods", 4, 4, 4)]
    assert first_reason(limits, *lasting) == (5, "sync had fewer than 1 ready pods in each of 3 s")
    assert first_reason(limits, pods(0), *beats("pods", 4, 4), pods(1), *beats("pods", 4, 4)) is None
    assert first_reason(limits, pods(0), *beats("pods", 4, 4), *beats("calls", 4, 4, 4)) is None
    assert first_reason(StopLimits(ready_pods=3, for_s=1), pods(2), *beats("pods", 4)) == (
        2,
        "sync had fewer than 3 ready pods in each of 1 s",
    )


def test_a_second_in_which_nothing_was_seen_neither_counts_nor_ends_the_row() -> None:
    limits = StopLimits(ready_pods=1, for_s=3)
    assert first_reason(limits, pods(0), *beats("pods", 4, 4, 0, 0, 0)) is None
    assert first_reason(limits, pods(0), *beats("pods", 4, 4, 0, 4)) == (5, "sync had fewer than 1 ready pods in each of 3 s")


def test_too_few_standbys_end_the_run_when_it_lasts() -> None:
    limits = StopLimits(standbys=2, for_s=2)
    assert first_reason(limits, standbys(2), *beats("replication", 2, 2, 2)) is None
    said = "the primary had fewer than 2 streaming standbys in each of 2 s"
    assert first_reason(limits, standbys(1), *beats("replication", 2, 2)) == (3, said)


def test_without_limits_nothing_ends_a_run_and_other_sources_do_not_count() -> None:
    worst = [second(number, down="search") for number in range(60)]
    assert first_reason(StopLimits(), *worst, pods(0), standbys(0), *beats("pods", 0, *[1] * 60), *beats("replication", *[1] * 60)) is None
    outside = [second(number, down="search", source="outside") for number in range(60)]
    assert first_reason(StopLimits(error_ratio=0.1, downtime_s=1), *outside) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"error_ratio": 0},
        {"error_ratio": 2},
        {"p95_factor": 1},
        {"for_s": 0},
        {"blind_s": 1},
        {"ready_pods": 0},
        {"standbys": 0},
        {"more": 1},
    ],
)
def test_limits_that_mean_nothing_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        StopLimits.model_validate(wrong)


def test_a_second_of_several_workers_counts_once_and_as_a_whole() -> None:
    """Each worker alone breaks the limit or keeps it; only all of them together are a second of the load."""
    watch = StopWatch(StopLimits(error_ratio=0.25, for_s=2), "load")
    watch.see(PLAN.model_copy(update={"plan": PLAN.plan.model_copy(update={"workers": 2})}))

    def told(number: int, *failed: int) -> list[str]:
        return [watch.see(second(number, failed=one).model_copy(update={"workers": (w,)})) for w, one in enumerate(failed)]

    assert told(0, 10, 0) == told(1, 0, 10) == told(2, 10, 0) == ["", ""]
    assert told(3, 10, 2) == ["", ""]
    assert told(4, 1, 10) == ["", "more than 25% of the requests failed in each of 2 s"]
