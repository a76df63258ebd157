"""`validity`, and what it spoils: a fault that did not happen as planned proves nothing, and neither does what nobody saw."""

import math

import pytest
from synthetic import MINUTE_0, Ending, Synthetic, cell_of, healthy, quiet, verdicts

from steady_state import criteria, document
from steady_state import observations as obs
from steady_state.history import History
from steady_state.judge import CRITERIA, judge
from steady_state.outcomes import Outcome
from steady_state.recording import RecordingError, read_recording, recording_of
from steady_state.verdict import Verdict, worst


def spoiled_by(run: Synthetic, fault: str) -> str:
    """The reason for which every cell of the fault is INCONCLUSIVE."""
    judged = run.judged()
    for name in CRITERIA:
        finding = cell_of(judged, fault, name).finding
        assert finding is not None
        assert finding.verdict is Verdict.INCONCLUSIVE, name
    finding = cell_of(judged, fault, "validity").finding
    assert finding is not None
    return finding.because


def test_a_healthy_run_passes_in_every_cell() -> None:
    judged = healthy().judged()

    assert judged.verdict is Verdict.PASS
    assert len(judged.cells) == 3 + 5 * len(CRITERIA)
    assert set(verdicts(judged).values()) == {Verdict.PASS}


@pytest.mark.parametrize("late_s", [0.25, -0.25])
def test_a_quarter_second_is_on_time(late_s: float) -> None:
    assert healthy().with_step("cache_flush", "injecting", 160 + late_s).finding("cache_flush", "validity").verdict is Verdict.PASS


@pytest.mark.parametrize("late_s", [0.26, -0.26])
def test_more_is_not(late_s: float) -> None:
    reason = spoiled_by(healthy().with_step("cache_flush", "injecting", 160 + late_s), "cache_flush")

    assert reason == "injected 0.26 s away from its instant (limit 0.25 s)"


@pytest.mark.parametrize("grade", ["acknowledged", "read_back"])
def test_only_felt_proves(grade: str) -> None:
    run = healthy().with_step("link_latency", "proof", 85.0, grade=grade, detail="the toxic is listed")

    assert spoiled_by(run, "link_latency") == "its effect was not felt: the toxic is listed"


def test_no_proof_is_not_felt() -> None:
    assert spoiled_by(healthy().without_step("link_latency", "proof"), "link_latency") == "its effect was not felt"


def test_a_fault_that_went_away_by_itself_was_not_held() -> None:
    run = healthy().with_step("link_latency", "still_felt", 89.2, grade="read_back", detail="42 ms instead of 200")

    assert spoiled_by(run, "link_latency") == "its effect was not felt any more just before it was taken away: 42 ms instead of 200"


def test_a_fault_that_was_still_felt_was_held() -> None:
    run = healthy().with_step("link_latency", "still_felt", 89.2, grade="felt", detail="205 ms")

    assert run.judged().verdict is Verdict.PASS


def test_requests_that_were_planned_and_never_counted_are_not_served() -> None:
    """From 50 to 53 s the load's tallies know nothing of content: without lines its 30 requests would pass for served."""

    def forget(line: obs.Observation) -> list[obs.Observation]:
        if isinstance(line, obs.TallyLine) and line.source == "load" and 65 <= line.second < 68:
            return [line.model_copy(update={"routes": {route: row for route, row in line.routes.items() if route != "content"}})]
        return [line]

    finding = healthy().with_change(forget).finding("pod_kill", "error_rate_during")

    assert (finding.verdict, finding.because) == (Verdict.INCONCLUSIVE, "3 s with lost requests (first at 50 s)")


def test_felt_too_late() -> None:
    reason = spoiled_by(healthy().with_step("link_latency", "proof", 90.1, grade="felt"), "link_latency")

    assert reason == "its effect was felt only after 10.1 s (limit 10 s)"


def test_nobody_used_the_target() -> None:
    reason = spoiled_by(healthy().with_step("cache_flush", "exposure", 159.0, count=0, source="INFO"), "cache_flush")

    assert reason == "touched no traffic: nobody used the target before the fault (INFO)"


@pytest.mark.parametrize("data", [{}, {"count": None}, {"count": "many"}, {"count": math.nan}])
def test_exposure_that_is_not_known(data: dict[str, object]) -> None:
    run = healthy().with_step("cache_flush", "exposure", 159.0, **data)

    assert spoiled_by(run, "cache_flush") == "it is not known whether anybody used the target"


def test_a_fault_that_failed_before_its_write() -> None:
    run = healthy().without_step("cache_flush", "injecting", "injected", "proof", "healing", "healed")
    run = run.with_step("cache_flush", "failed", 149.0, reason="no such role")

    assert spoiled_by(run, "cache_flush") == "not injected: no such role"
    judged = run.judged()
    assert [window.name for window in judged.windows] == ["pod_kill", "link_latency", "replica_failure", "partition"]
    assert judged.windows[2].end == judged.windows[3].injected


def test_a_write_that_was_not_acknowledged_may_have_had_its_effect() -> None:
    """The window of the fault before ends where the write began, although nobody knows what it did."""
    run = healthy().without_step("cache_flush", "injected", "proof").with_step("cache_flush", "failed", 168.0, reason="no answer")

    assert spoiled_by(run, "cache_flush") == "not injected: no answer"
    assert run.judged().windows[2].end == pytest.approx(MINUTE_0 + 160.002)


@pytest.mark.parametrize("fault", ["partition", "pod_kill"])
def test_a_fault_that_was_not_taken_away(fault: str) -> None:
    run = healthy().without_step(fault, "healed").with_step(fault, "heal_failed", 215.0, reason="the proxy is gone")

    finding = run.finding(fault, "validity")

    assert (finding.verdict, finding.because) == (Verdict.INCONCLUSIVE, "it was not taken away: the proxy is gone")


def test_a_held_fault_that_stays_contaminates_all_that_follow() -> None:
    judged = healthy().without_step("link_latency", "healed").judged()

    assert [window.contaminated_by for window in judged.windows] == [None, None, "link_latency", "link_latency", "link_latency"]


@pytest.mark.parametrize("source", ["load", "outside"])
def test_a_second_without_a_row_is_a_gap(source: str) -> None:
    finding = healthy().without_tallies(60.0, 62.0, source=source).finding("pod_kill", "validity")

    assert finding.because == f"2 s without a record of source {source} (first at 60 s)"


def test_a_lost_request_line_shows_in_its_second() -> None:
    """The tally counts 5 failures, 4 have a line."""
    run = healthy().with_count("search", 60.0, 5).without(lambda line: isinstance(line, obs.RequestLine) and line.t < 5060.01)

    assert "1 s with lost requests (first at 60 s)" in run.finding("pod_kill", "validity").because
    assert run.finding("pod_kill", "error_rate_after").verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(("lagged", "expected"), [(2, Verdict.PASS), (3, Verdict.INCONCLUSIVE)])
def test_a_lagging_generator_is_a_gap(lagged: int, expected: Verdict) -> None:
    """100 requests a second: more than 1 %, and at least 3."""
    assert healthy().with_lag(60.0, lagged).finding("pod_kill", "error_rate_after").verdict is expected


def test_requests_that_the_generator_could_not_send_are_not_failures() -> None:
    run = healthy().with_count("search", 60.0, 2, Outcome.GENERATOR)

    assert run.finding("pod_kill", "error_rate_after").because.startswith("0 of 3598 requests failed")


def test_less_load_than_planned_is_no_test() -> None:
    """1 of 100 requests in every second was not sent: 99 %; 2 of 100 are too many."""
    one = quiet("pod_kill").with_endings("watchlist", 40.0, 240.0, Ending(Outcome.GENERATOR, 0.0), every=10, sources=["load"])
    two = one.with_endings("content", 40.0, 240.0, Ending(Outcome.GENERATOR, 0.0), every=10, sources=["load"])

    assert one.finding("pod_kill", "validity").verdict is Verdict.PASS
    assert "only 98.0% of the planned load was sent" in two.finding("pod_kill", "validity").because


@pytest.mark.parametrize("probe", ["pods", "breakers", "replication"])
def test_a_silent_probe_is_a_gap_without_a_gap_line(probe: str) -> None:
    """Beats come each second: a silence of 2 s is none, of 3 s is one."""
    assert healthy().with_silence(probe, 61.0, 62.0).finding("pod_kill", "validity").verdict is Verdict.PASS
    assert healthy().with_silence(probe, 61.0, 63.0).finding("pod_kill", "validity").verdict is Verdict.INCONCLUSIVE


def test_a_subject_that_was_looked_for_in_vain_is_a_gap_without_a_gap_line() -> None:
    """The run was killed before the gap line could be written; the beats say that nothing was seen of one breaker for 3 s."""
    run = healthy().with_silence("breakers", 60.0, 63.0)
    for second in (60.9, 61.9, 62.9):
        run = run.with_line(obs.BeatLine(t=MINUTE_0 + second, probe="breakers", seen={"sync->pubnub/sync-0": 0}))

    assert "breakers saw nothing of sync->pubnub/sync-0 from 59.9 s" in run.finding("pod_kill", "breakers").because


def test_a_workload_that_nobody_saw_has_no_desired_replicas() -> None:
    run = healthy().without(lambda line: isinstance(line, obs.PodsLine) and line.workload == "auth")

    assert run.finding("pod_kill", "recovery_time").because == "not seen throughout: no pod of auth was seen before minute 0"


# --- the run as a whole ------------------------------------------------------------------------------------------------


def test_the_baseline_is_judged_too() -> None:
    judged = healthy().with_count("search", 10.0, 30).judged()

    cell = cell_of(judged, "baseline", "error_rate_after").finding
    assert cell is not None
    assert (cell.verdict, cell.because[:25]) == (Verdict.FAIL, "30 of 4000 requests faile")
    assert judged.verdict is Verdict.FAIL


def test_fail_beats_inconclusive_beats_pass_and_nothing_is_nothing() -> None:
    assert worst([Verdict.PASS, Verdict.INCONCLUSIVE, Verdict.FAIL]) is Verdict.FAIL
    assert worst([Verdict.PASS, Verdict.INCONCLUSIVE]) is Verdict.INCONCLUSIVE
    assert worst([Verdict.PASS]) is Verdict.PASS
    assert worst([]) is Verdict.INCONCLUSIVE


def test_an_aborted_run_keeps_what_it_proved_and_no_more() -> None:
    """Aborted at 150 s: two windows are complete, the third is cut short, two faults were never injected."""
    run = healthy().without(lambda line: line.t > MINUTE_0 + 150 and not isinstance(line, obs.EndLine))
    run = run.without(lambda line: isinstance(line, obs.EndLine))
    lines = [line for line in run.lines() if not (isinstance(line, obs.FaultLine) and line.fault in ("cache_flush", "partition"))]
    lines = [line.model_copy(update={"seq": seq}) for seq, line in enumerate(lines)]
    lines.append(obs.PhaseLine(seq=len(lines), t=MINUTE_0 + 150, phase="aborting"))
    lines.append(obs.EndLine(seq=len(lines), t=MINUTE_0 + 150.5, ended="aborted", reason="SIGTERM"))

    judged = judge(History(recording_of(lines)))

    found = verdicts(judged)
    assert judged.verdict is Verdict.INCONCLUSIVE
    assert {found[fault, name] for fault in ("pod_kill", "link_latency") for name in CRITERIA} == {Verdict.PASS}
    assert {found[fault, name] for fault in ("replica_failure", "cache_flush") for name in CRITERIA} == {Verdict.INCONCLUSIVE}
    assert cell_of(judged, "cache_flush", "validity").finding.because == "not injected: the run ended at 150.0 s"  # type: ignore[union-attr]
    assert "the run ended 30.0 s into this window" in cell_of(judged, "replica_failure", "recovery_time").finding.because  # type: ignore[union-attr]


def test_a_failure_before_the_abort_stays_a_failure() -> None:
    run = healthy().with_failures("search", 130.0, 140.0).killed(150.0)

    assert run.finding("replica_failure", "zero_downtime").verdict is Verdict.FAIL
    assert run.judged().verdict is Verdict.FAIL


def test_a_recording_cut_off_in_the_middle_of_a_line() -> None:
    """kill -9 at 150 s while a line was being written."""
    texts = healthy().killed(150.0).texts()
    texts[-1] = texts[-1][:40]

    judged = judge(History(read_recording(texts)))

    found = verdicts(judged)
    assert judged.verdict is Verdict.INCONCLUSIVE
    assert {found["pod_kill", name] for name in CRITERIA} == {Verdict.PASS}
    assert {found["replica_failure", name] for name in CRITERIA} == {Verdict.INCONCLUSIVE}
    assert document.document(judged)["ended"]["how"] == "cut off"
    assert judged.history.recording.lost == [f"line {len(texts)} is unreadable (JSONDecodeError)"]


def test_a_lost_line_spoils_what_comes_after_it() -> None:
    """One line in the middle of the third window is missing: nobody knows what it said."""
    run = healthy().without(lambda line: isinstance(line, obs.BeatLine) and line.probe == "cache" and 5140 < line.t < 5141)

    judged = run.judged()

    found = verdicts(judged)
    assert judged.verdict is Verdict.INCONCLUSIVE
    assert {found["link_latency", name] for name in CRITERIA} == {Verdict.PASS}
    assert {found["replica_failure", name] for name in CRITERIA} == {Verdict.INCONCLUSIVE}


def test_a_line_that_is_there_twice_is_counted_once_and_named() -> None:
    lines = healthy().with_count("search", 60.0, 2).lines()
    failing = next(line for line in lines if isinstance(line, obs.RequestLine))

    recording = recording_of([failing, *lines])

    assert len(recording.requests) == 2
    assert recording.lost == [f"line {failing.seq} is there twice"]


def test_requests_without_their_plan_are_named_and_set_aside() -> None:
    run = healthy().with_count("search", 60.0, 2).without(lambda line: isinstance(line, obs.LoadPlanLine) and line.plan.source == "load")

    judged = run.judged()

    assert "2 requests belong to no load plan" in judged.history.recording.lost
    assert cell_of(judged, "pod_kill", "recovery_time").finding.verdict is Verdict.INCONCLUSIVE  # type: ignore[union-attr]


def test_without_its_first_line_nothing_can_be_judged() -> None:
    with pytest.raises(RecordingError, match="no line of kind 'run'"):
        recording_of(healthy().lines()[1:])
    with pytest.raises(RecordingError, match="no line of kind 'run'"):
        read_recording([])


def test_a_plan_of_another_version_is_refused_in_words() -> None:
    first = healthy().lines()[0].model_copy(update={"plan": {"title": "old"}})

    with pytest.raises(RecordingError, match="the plan in the recording cannot be read"):
        recording_of([first])


def test_a_run_that_was_refused_proves_nothing() -> None:
    lines = [line for line in healthy().lines() if line.t < MINUTE_0]
    lines.append(obs.EndLine(seq=len(lines), t=MINUTE_0, ended="refused", reason="not steady"))

    judged = judge(History(recording_of(lines)))

    assert judged.verdict is Verdict.INCONCLUSIVE
    assert set(verdicts(judged).values()) == {Verdict.INCONCLUSIVE}


def test_a_plan_without_faults_proves_nothing() -> None:
    run = quiet("pod_kill")
    run.plan = run.plan.model_copy(update={"faults": []})
    run.faults = []

    assert run.judged().verdict is Verdict.INCONCLUSIVE


def test_a_cell_that_does_not_apply_has_a_reason_and_no_verdict() -> None:
    run = healthy().with_fault("cache_flush", not_applicable={"breakers": "nothing to break"})

    cell = cell_of(run.judged(), "cache_flush", "breakers")

    assert (cell.finding, cell.not_applicable) == (None, "nothing to break")
    assert run.judged().verdict is Verdict.PASS


def test_a_criterion_that_crashes_is_inconclusive_and_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CRITERIA, "breakers", lambda window: criteria.no_such_thing)  # type: ignore[attr-defined]

    finding = healthy().finding("pod_kill", "breakers")

    assert finding.verdict is Verdict.INCONCLUSIVE
    assert finding.because.startswith("the criterion crashed: AttributeError")
    assert any("/judge.py:" in line and "in _guarded" in line for line in finding.evidence)
    assert healthy().finding("pod_kill", "recovery_time").verdict is Verdict.PASS


def test_windows_that_cannot_be_found_are_no_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(history: History) -> None:
        raise ZeroDivisionError(history.end)

    monkeypatch.setattr("steady_state.judge.windows", broken)

    judged = healthy().judged()

    assert judged.verdict is Verdict.INCONCLUSIVE
    assert set(verdicts(judged).values()) == {Verdict.INCONCLUSIVE}
    assert document.document(judged)["counts"]["PASS"] == 0
