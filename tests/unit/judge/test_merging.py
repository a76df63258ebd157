"""Several workers share a source: their tallies of one second add up, and a second without one of them is a gap."""

import pytest
from synthetic import LOAD_START, cell_of, quiet

from steady_state import observations as obs
from steady_state.history import History
from steady_state.judge import judge
from steady_state.merging import merged
from steady_state.outcomes import Outcome
from steady_state.recording import recording_of
from steady_state.verdict import Verdict


def tally(worker: int, t: float, lagged: int, lag_max_ms: float, **routes: obs.RouteTally) -> obs.TallyLine:
    return obs.TallyLine(t=t, source="load", second=7, routes=routes, lagged=lagged, lag_max_ms=lag_max_ms, workers=(worker,))


def row(latency: list[tuple[int, int]], **counts: int) -> obs.RouteTally:
    return obs.RouteTally(due=sum(counts.values()), counts={Outcome(name): count for name, count in counts.items()}, latency=latency)


def test_counts_and_histograms_add_up_in_either_order() -> None:
    one = tally(0, 9.0, 1, 70.0, search=row([(100, 2), (200, 1)], fresh=3, timeout=1))
    other = tally(1, 8.5, 0, 3.0, search=row([(50, 1), (200, 4)], fresh=4, cached=1), content=row([(10, 1)], fresh=1))

    both = merged(one, other)

    assert both.routes["search"].due == 9
    assert both.routes["search"].counts == {Outcome.FRESH: 7, Outcome.CACHED: 1, Outcome.TIMEOUT: 1}
    assert both.routes["search"].latency == [(50, 1), (100, 2), (200, 5)]
    assert both.routes["content"] == other.routes["content"]
    assert (both.t, both.lagged, both.lag_max_ms, both.workers) == (9.0, 1, 70.0, (0, 1))
    assert merged(other, one) == both


def test_what_a_worker_said_twice_counts_once() -> None:
    one = tally(0, 9.0, 1, 70.0, search=row([(100, 3)], fresh=3))

    assert merged(one, one) == one


@pytest.mark.parametrize("came", [0, 1])
def test_a_second_without_one_of_two_workers_is_a_gap(came: int) -> None:
    """The counts that came add up by themselves, so only the number of workers tells."""
    missed = round(60 - LOAD_START)
    lines = [line for line in map(of_two, quiet("pod_kill").lines()) if not (came == 0 and second_of(line) == missed)]
    lines = [line.model_copy(update={"workers": (1,)}) if second_of(line) == missed else line for line in lines]

    found = cell_of(judge(History(recording_of(lines))), "pod_kill", "zero_downtime").finding

    assert found is not None
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "1 s without a record of source load (first at 60 s)" in found.because


def of_two(line: obs.Observation) -> obs.Observation:
    """As if two workers had written it: the plan says so, and the tallies of both are added up."""
    if isinstance(line, obs.LoadPlanLine):
        return line.model_copy(update={"plan": line.plan.model_copy(update={"workers": 2})})
    return line.model_copy(update={"workers": (0, 1)}) if isinstance(line, obs.TallyLine) else line


def second_of(line: obs.Observation) -> int | None:
    """Which second of the load the line counts."""
    return line.second if isinstance(line, obs.TallyLine) and line.source == "load" else None
