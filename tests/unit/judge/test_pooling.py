"""Pooling: several runs of one plan as one statement, and what may not be pooled."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
import synthetic

from steady_state import observations as obs
from steady_state.judge import Judgement
from steady_state.judged_plan import Limits
from steady_state.pooling import NotPoolableError, Passes, Pool, PooledRecovery, Recovery, pool
from steady_state.verdict import Verdict


def named(run: synthetic.Synthetic, run_id: str) -> Judgement:
    def rename(line: obs.Observation) -> Iterable[obs.Observation]:
        return [line.model_copy(update={"run_id": run_id}) if isinstance(line, obs.RunLine) else line]

    return run.with_change(rename).judged()


def back_after(seconds: float, run_id: str) -> Judgement:
    """The killed pod is replaced so long after its injection."""
    run = synthetic.healthy().with_ready("discovery", (40.05, 1), (40.002 + seconds, 2))
    return named(run, run_id)


def with_plan(run_id: str = "other", **changes: Any) -> Judgement:
    run = synthetic.healthy()
    run.plan = run.plan.model_copy(update=changes)
    return named(run, run_id)


def recovery(found: Pool, fault: str) -> PooledRecovery:
    return next(one for one in found.recoveries if one.fault == fault)


def passes(found: Pool, fault: str, criterion: str) -> Passes:
    return next(cell.passes for cell in found.cells if (cell.fault, cell.criterion) == (fault, criterion))


def test_six_runs_enclose_the_median_and_five_do_not() -> None:
    runs = [back_after(float(seconds), f"run-{seconds}") for seconds in (3, 1, 6, 2, 5, 4)]
    six = recovery(pool(runs), "pod_kill")
    assert [one.seconds for one in six.times] == pytest.approx([1, 2, 3, 4, 5, 6], abs=1e-3)
    assert six.median == six.times[3]
    assert six.interval == (six.times[0], six.times[5])
    assert recovery(pool(runs[:5]), "pod_kill").interval is None


def test_a_recovery_whose_end_was_not_seen_sorts_last() -> None:
    lone = synthetic.quiet("pod_kill")
    never = named(lone.with_ready("discovery", (40.05, 1)), "never")
    late = named(lone.with_ready("discovery", (40.05, 1), (190.0, 2)), "late")
    found = recovery(pool([never, late, named(lone, "soon")]), "pod_kill")
    assert found.times == (Recovery(False, 0.0), Recovery(False, 149.998), Recovery(True, 199.998))


def test_a_recovery_that_the_next_fault_cut_off_lasted_at_least_so_long() -> None:
    """Discovery is short until 90 s, past the next injection at 80 s: search fails with it, and the next fault touches search, too."""
    slow = synthetic.healthy().with_failures("search", 41.0, 79.95, every=2)
    found = recovery(pool([named(slow, "slow"), *(back_after(float(n), f"run-{n}") for n in (1, 2))]), "pod_kill")
    assert (found.unjudged, [one.unseen for one in found.times]) == (0, [False, False, True])
    assert found.times[-1].seconds == pytest.approx(40.0, abs=0.1)


def test_a_recovery_that_was_not_looked_at_is_no_lower_bound() -> None:
    slow = synthetic.healthy().with_failures("search", 41.0, 79.95, every=2).without_tallies(60, 62)
    assert recovery(pool([named(slow, "slow"), back_after(1.0, "run-1")]), "pod_kill").unjudged == 1


def test_inconclusive_is_counted_apart() -> None:
    unproven = named(synthetic.healthy().without_step("cache_flush", "proof"), "unproven")
    failing = named(synthetic.healthy().with_failures("content", 41.0, 43.0), "failing")
    found = pool([named(synthetic.healthy(), "green"), unproven, failing])
    assert found.verdict is Verdict.FAIL
    assert found.whole == Passes(passed=1, judged=2, inconclusive=1)
    assert passes(found, "pod_kill", "zero_downtime") == Passes(2, 3, 0)
    assert passes(found, "cache_flush", "recovery_time") == Passes(2, 2, 1)
    assert recovery(found, "cache_flush").unjudged == 1
    assert len(recovery(found, "cache_flush").times) == 2


def test_all_of_six_is_the_sixth_root() -> None:
    assert Passes(6, 6, 0).interval == (pytest.approx(0.025 ** (1 / 6)), 1.0)  # from 54 %
    assert Passes(0, 0, 3).interval == (0.0, 1.0)


def test_a_cell_that_does_not_apply_is_not_pooled() -> None:
    run = synthetic.healthy().with_fault("partition", not_applicable={"refill": "no cache"})
    found = pool([named(run, "one"), named(run, "two")])
    assert ("partition", "refill") not in {(cell.fault, cell.criterion) for cell in found.cells}


def test_one_run_given_twice_is_one_piece_of_evidence() -> None:
    with pytest.raises(NotPoolableError, match="run again is given twice"):
        pool([named(synthetic.healthy(), "again"), named(synthetic.healthy(), "again")])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"title": "another"}, "they differ in title: synthetic against another"),
        ({"target": "staging"}, "they differ in target: nowhere against staging"),
        ({"scale_time": 1.0}, "they differ in time scale: 15.0 against 1.0"),
        ({"scale_load": 1.0}, "they differ in load scale: 10.0 against 1.0"),
        ({"routes": ["search"]}, "they differ in routes: ['search', 'recommendations', 'watchlist', 'content'] against ['search']"),
        ({"shares_our_machine": True}, "they differ in machine shared: False against True"),
        ({"criteria_set": "strict"}, "they differ in criteria set: media-gateway-3.5 against strict"),
        ({"limits": Limits(recovery_s=60)}, "they differ in limits, recovery_s: 120.0 against 60.0"),
    ],
)
def test_another_plan_is_refused_with_the_difference(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(NotPoolableError) as refused:
        pool([named(synthetic.healthy(), "first"), with_plan(**changes)])
    assert str(refused.value) == f"runs first and other cannot be pooled: {words}"


def test_another_timeline_or_rule_is_refused_by_the_name_of_its_fault() -> None:
    first = named(synthetic.healthy(), "first")
    with pytest.raises(NotPoolableError, match="they differ in timeline, cache_flush: cache_flush of cache_flush at 160 s for 0 s against"):
        pool([first, named(synthetic.healthy().with_fault("cache_flush", at_s=170.0), "other")])
    with pytest.raises(NotPoolableError, match="they differ in criteria, partition breakers: "):
        pool([first, named(synthetic.healthy().with_rule("partition", None), "other")])


def test_another_load_is_refused_and_a_run_without_one_is_not_another() -> None:
    first = named(synthetic.healthy(), "first")
    half = {route: rate / 2 for route, rate in synthetic.RATES.items()}
    slower = synthetic.healthy()
    slower.load["load"] = synthetic.load_plan("load", half, 0.0023)
    with pytest.raises(NotPoolableError, match=r"they differ in load \(requests/s by route\), search: 60.0 against 30.0"):
        pool([first, named(slower, "slower")])
    early = synthetic.healthy().without(lambda line: not isinstance(line, obs.RunLine))
    assert pool([first, named(early, "early")]).whole.inconclusive == 1
