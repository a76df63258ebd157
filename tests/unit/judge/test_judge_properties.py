"""What holds for every recording: losing lines proves nothing, a failure more never helps, order and clock do not matter."""

import json
import os
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic import (
    GATEWAY_BREAKER,
    MINUTE_0,
    PUBNUB_BREAKER,
    Ending,
    Synthetic,
    quiet,
    verdicts,
)

from steady_state import observations as obs
from steady_state.document import document
from steady_state.history import History
from steady_state.judge import CRITERIA, judge
from steady_state.outcomes import FAILED, SERVED, Outcome
from steady_state.recording import read_recording, recording_of
from steady_state.verdict import Verdict

FRESH = os.environ.get("HYPOTHESIS_PROFILE") == "fuzz"
EXAMPLES = settings(max_examples=int(os.environ.get("FUZZ_N", "300")) if FRESH else 10)
RANK = {Verdict.PASS: 0, Verdict.INCONCLUSIVE: 1, Verdict.FAIL: 2}
RATES = {"search": 12.0, "recommendations": 11.0, "watchlist": 9.0, "content": 2.0}
LENGTH_S = 105.0

Trouble = Callable[[Synthetic], Synthetic]

instants = st.integers(min_value=-20, max_value=1050).map(lambda tenths: tenths / 10)
lengths = st.sampled_from([0.2, 0.6, 1.0, 1.4, 3.0, 9.0, 30.0])
routes = st.sampled_from(sorted(RATES))
outcomes = st.sampled_from(
    [*sorted(FAILED), Outcome.RATE_LIMITED, Outcome.CLIENT_ERROR, Outcome.STALE, Outcome.GENERATOR, Outcome.FALLBACK]
)


def endings(route: str, start: float, length: float, outcome: Outcome, every: int) -> Trouble:
    return lambda run: run.with_endings(route, start, start + length, Ending(outcome, 20.0), every=every)


def slow(route: str, start: float, length: float, every: int) -> Trouble:
    return lambda run: run.with_slow(route, start, start + length, latency_ms=900.0, every=every)


def shortage(workload: str, start: float, length: float) -> Trouble:
    return lambda run: run.with_ready(workload, (max(0.5, start), 1), (max(0.5, start) + length, 2))


def opened(breaker: str, replica: str, start: float, length: float) -> Trouble:
    return lambda run: run.with_breaker(breaker, replica, (start, "open"), (start + length, "closed"))


def late(fault: str, late_s: float) -> Trouble:
    at_s = {"pod_kill": 40.0, "link_latency": 80.0}[fault]
    return lambda run: run.with_step(fault, "injecting", at_s + late_s)


def unhealed(fault: str) -> Trouble:
    return lambda run: run.without_step(fault, "healed")


troubles = st.one_of(
    st.builds(endings, routes, instants, lengths, outcomes, st.integers(1, 12)),
    st.builds(slow, routes, instants, lengths, st.integers(1, 25)),
    st.builds(shortage, st.sampled_from(["discovery", "sync"]), instants, lengths),
    st.builds(opened, st.just(GATEWAY_BREAKER), st.just("api-gateway-0"), instants, lengths),
    st.builds(opened, st.just(PUBNUB_BREAKER), st.just("sync-1"), instants, lengths),
    st.builds(late, st.sampled_from(["pod_kill", "link_latency"]), st.sampled_from([0.01, 0.3, 2.0])),
    st.builds(unhealed, st.just("link_latency")),
)


@st.composite
def runs(draw: st.DrawFn) -> Synthetic:
    """105 s with two faults, at 40 and 80 s, and up to four troubles."""
    run = quiet("pod_kill", "link_latency", rates=RATES, length_s=LENGTH_S, outside_hz=3.0)
    for trouble in draw(st.lists(troubles, max_size=4)):
        run = trouble(run)
    return run


def judged_lines(lines: list[obs.Observation]) -> dict[tuple[str, str], Verdict]:
    return verdicts(judge(History(recording_of(lines))))


@EXAMPLES
@given(run=runs(), data=st.data())
def test_losing_lines_turns_nothing_into_a_pass(run: Synthetic, data: st.DataObject) -> None:
    lines = run.lines()
    before = judged_lines(lines)
    first = data.draw(st.integers(1, len(lines) - 1), label="first lost line")
    count = data.draw(st.sampled_from([1, 2, 10, len(lines)]), label="how many")
    kind = data.draw(st.sampled_from([None, *sorted({line.kind for line in lines} - {"run"})]), label="only of this kind")
    lost = [line.seq for line in lines[first:] if kind is None or line.kind == kind][:count]

    after = judged_lines([line for line in lines if line.seq not in set(lost)])

    assert not {cell for cell, verdict in after.items() if verdict is Verdict.PASS and before[cell] is not Verdict.PASS}


@EXAMPLES
@given(run=runs(), data=st.data())
def test_losing_a_kind_of_line_altogether_turns_nothing_into_a_pass(run: Synthetic, data: st.DataObject) -> None:
    lines = run.lines()
    kind = data.draw(st.sampled_from(sorted({line.kind for line in lines} - {"run"})))

    before, after = judged_lines(lines), judged_lines([line for line in lines if line.kind != kind])

    assert not {cell for cell, verdict in after.items() if verdict is Verdict.PASS and before[cell] is not Verdict.PASS}


def one_failure_more(run: Synthetic, data: st.DataObject) -> Synthetic:
    """One to eight served requests of a route, in a row, fail instead."""
    route, start = data.draw(routes, label="route"), data.draw(instants, label="from")
    changed = run
    for source in data.draw(st.sampled_from([["load"], ["outside"], ["load", "outside"]]), label="sources"):
        more = run.with_endings(route, start, start + data.draw(lengths, label="for"), Ending(Outcome.TIMEOUT, 20.0), sources=[source])
        served = {key: end for key, end in more.endings.items() if key not in run.endings or run.endings[key].outcome is Outcome.FRESH}
        changed = replace(changed, endings={**changed.endings, **served})
    return changed


@EXAMPLES
@given(run=runs(), data=st.data())
def test_a_failure_more_never_improves_a_verdict(run: Synthetic, data: st.DataObject) -> None:
    """With the windows held fixed: what changes is what is seen in them."""
    worse = one_failure_more(run, data).history()

    for window in run.judged().windows:
        held = replace(window, history=worse)
        for name, criterion in CRITERIA.items():
            if name != "recovery_time":  # it has no other evidence than the windows
                assert RANK[criterion(held).verdict] >= RANK[criterion(window).verdict], (window.name, name)


@EXAMPLES
@given(run=runs(), data=st.data())
def test_a_failure_more_never_shrinks_recovery_or_downtime(run: Synthetic, data: st.DataObject) -> None:
    before, after = run.judged(), one_failure_more(run, data).judged()

    for one, other in zip(before.windows, after.windows, strict=True):
        recovered, later = one.recovery.recovered, other.recovery.recovered
        assert later is None or (recovered is not None and later >= recovered - 1e-9), one.name
    times = {cell.fault: cell.finding for cell in after.cells if cell.criterion == "recovery_time"}
    for cell in before.cells:
        later_finding = times.get(cell.fault) if cell.criterion == "recovery_time" else None
        if cell.finding is None or later_finding is None or Verdict.INCONCLUSIVE in (cell.finding.verdict, later_finding.verdict):
            continue
        assert cell.finding.measured is not None
        assert later_finding.measured is not None
        assert later_finding.measured >= cell.finding.measured - 1e-6, cell.fault
    for row in before.history.downtimes:
        assert any(
            other.route == row.route and other.span.start <= row.span.start and other.span.end >= row.span.end
            for other in after.history.downtimes
        )


@EXAMPLES
@given(run=runs(), seed=st.integers(0, 1000))
def test_the_order_of_lines_changes_nothing(run: Synthetic, seed: int) -> None:
    texts = run.texts()
    shuffled = list(texts)
    random.Random(seed).shuffle(shuffled)

    assert document(judge(History(read_recording(shuffled)))) == document(judge(History(read_recording(texts))))


@EXAMPLES
@given(run=runs(), shift_s=st.floats(-4000, 1e7))
def test_the_same_run_at_another_time_is_judged_the_same(run: Synthetic, shift_s: float) -> None:
    before, after = document(run.judged()), document(run.shifted(shift_s).judged())

    for one, other in zip(before["cells"], after["cells"], strict=True):
        assert (one["verdict"], one["measured"], one["n"]) == (other["verdict"], other["measured"], other["n"]), one["because"]


@EXAMPLES
@given(run=runs())
def test_windows_neither_overlap_nor_leave_holes(run: Synthetic) -> None:
    judged = run.judged()

    spans = [window.span for window in judged.windows]
    assert len(spans) == 2
    assert spans[0].end == spans[1].start
    assert spans[1].end == judged.history.end == MINUTE_0 + LENGTH_S
    baseline = next(cell.finding for cell in judged.cells if (cell.fault, cell.criterion) == ("baseline", "error_rate_after"))
    assert baseline is not None
    assert baseline.window == (0.0, judged.history.minute(spans[0].start))


@EXAMPLES
@given(run=runs())
def test_the_report_is_the_same_for_two_reads_and_is_plain_json(run: Synthetic) -> None:
    texts = run.texts()

    reports = [json.dumps(document(judge(History(read_recording(texts)))), allow_nan=False) for _ in range(2)]

    assert reports[0] == reports[1]
    assert json.loads(reports[0])["schema_version"] == 1


def shared_out(line: obs.TallyLine, workers: int, chance: random.Random) -> list[obs.TallyLine]:
    """The tallies of so many workers, of which each sent some of the second's requests."""
    parts: list[dict[str, obs.RouteTally]] = [{} for _ in range(workers)]
    for route, row in line.routes.items():
        outcomes = [outcome for outcome, count in row.counts.items() for _ in range(count)]
        latencies = [index for index, count in row.latency for _ in range(count)]
        whose = [chance.randrange(workers) for _ in outcomes]
        for worker, part in enumerate(parts):
            mine = [outcome for outcome, owner in zip(outcomes, whose, strict=True) if owner == worker]
            # Which of the served it was does not matter to a histogram; how many does.
            took = sorted(latencies.pop() for outcome in mine if outcome in SERVED)
            part[route] = obs.RouteTally(due=len(mine), counts=dict(Counter(mine)), latency=sorted(Counter(took).items()))
    lagged = chance.randint(0, line.lagged)
    lags = [lagged, line.lagged - lagged, *([0] * (workers - 2))]
    return [
        line.model_copy(update={"routes": part, "lagged": lag, "workers": (worker,)})
        for worker, (part, lag) in enumerate(zip(parts, lags, strict=True))
    ]


def by_workers(run: Synthetic, workers: int, seed: int) -> list[obs.Observation]:
    """The run's lines as if workers had shared each source's arrivals."""
    chance = random.Random(seed)
    lines: list[obs.Observation] = []
    for line in run.lines():
        if isinstance(line, obs.TallyLine):
            lines += shared_out(line, workers, chance)
        elif isinstance(line, obs.LoadPlanLine):
            lines.append(line.model_copy(update={"plan": line.plan.model_copy(update={"workers": workers})}))
        else:
            lines.append(line)
    return [line.model_copy(update={"seq": seq}) for seq, line in enumerate(lines)]


@EXAMPLES
@given(run=runs(), workers=st.integers(2, 4), seed=st.integers(0, 1000))
def test_tallies_of_several_workers_are_judged_as_those_of_one(run: Synthetic, workers: int, seed: int) -> None:
    shared = by_workers(run, workers, seed)

    assert document(judge(History(recording_of(shared)))) == document(run.judged())


@EXAMPLES
@given(run=runs(), seed=st.integers(0, 1000), data=st.data())
def test_losing_a_workers_tallies_turns_nothing_into_a_pass(run: Synthetic, seed: int, data: st.DataObject) -> None:
    """They never reached us, so no number is missing."""
    shared = by_workers(run, 2, seed)
    second = data.draw(st.integers(0, 100), label="from second")
    silent = random.Random(seed)
    kept = [line for line in shared if not (isinstance(line, obs.TallyLine) and line.second >= second and silent.random() < 0.3)]

    before, after = judged_lines(shared), judged_lines([line.model_copy(update={"seq": seq}) for seq, line in enumerate(kept)])

    assert not {cell for cell, verdict in after.items() if verdict is Verdict.PASS and before[cell] is not Verdict.PASS}
