"""Rows of a tally, and the lines of exceptional requests."""

from __future__ import annotations

from orchestrator.load.exceptional import Ended, Exceptional
from orchestrator.load.tally import Tally
from steady_state.latency import bucket_index
from steady_state.load_plan import LoadPlan, RoutePlan
from steady_state.observations import ExemplarLine, RequestLine, TallyLine
from steady_state.outcomes import Outcome


def a_plan(*routes: str, start_s: float) -> LoadPlan:
    return LoadPlan(
        source="load", start_s=start_s, workers=3, routes={name: RoutePlan(rate_per_s=1, phase_s=0, maximum_ms=100) for name in routes}
    )


def test_a_row_is_written_once_all_its_requests_have_an_outcome() -> None:
    written: list[TallyLine] = []
    tally = Tally(a_plan("a", "b", start_s=100.0), 2, written.append)
    first, second = tally.due(0), tally.due(1)
    assert tally.current.end_s == 101.0
    tally.advance(101.0)
    tally.finished(first, 0, Outcome.FRESH, 0.0125, 101.1)
    assert written == []
    tally.advance(102.0)
    assert [line.second for line in written] == [1]  # the empty second has a row too
    second.lagged, second.lag_max_s = 1, 0.2
    tally.finished(second, 1, Outcome.TIMEOUT, 5.0, 105.5)
    line = written[1]
    assert (line.t, line.second, line.lagged, line.lag_max_ms, line.workers) == (105.5, 0, 1, 200.0, (2,))
    assert line.routes["a"].due == line.routes["b"].due == 1
    assert line.routes["a"].counts == {Outcome.FRESH: 1}
    assert line.routes["a"].latency == [(bucket_index(12500), 1)]
    assert line.routes["b"].counts == {Outcome.TIMEOUT: 1}
    assert line.routes["b"].latency == []


def test_the_last_second_is_written_when_nothing_more_is_due() -> None:
    written: list[TallyLine] = []
    tally = Tally(a_plan("a", start_s=0.0), 0, written.append)
    row = tally.due(0)
    tally.close(0.5)
    assert written == []
    tally.finished(row, 0, Outcome.EOF, 0.1, 0.6)
    assert [line.second for line in written] == [0]


def ended(outcome: Outcome, number: int, *, at_s: float = 10.0, detail: str = "") -> Ended:
    return Ended("search", number, at_s, at_s + 0.25, outcome, status=503, detail=detail, served_by="pod", secret="hush")


def test_each_exceptional_request_has_a_line_and_three_a_second_are_whole() -> None:
    written: list[RequestLine | ExemplarLine] = []
    exceptional = Exceptional("load", written.append)
    for number in range(5):
        exceptional.tell(ended(Outcome.SERVER_ERROR, number))
    exceptional.tell(ended(Outcome.FRESH, 5, at_s=11.0))  # slow, but served
    exceptional.tell(ended(Outcome.RESET, 6, at_s=11.0))
    requests = [line for line in written if isinstance(line, RequestLine)]
    assert [line.number for line in requests] == list(range(7))
    assert {line.latency_ms for line in requests} == {250.0}
    assert [line.number for line in written if isinstance(line, ExemplarLine)] == [0, 1, 2, 6]


def test_an_exemplar_is_short_and_holds_no_token() -> None:
    written: list[RequestLine | ExemplarLine] = []
    Exceptional("load", written.append).tell(ended(Outcome.SERVER_ERROR, 1, detail="hush" + "x" * 900))
    exemplar = written[1]
    assert isinstance(exemplar, ExemplarLine)
    assert exemplar.detail.startswith("[token]xxx")
    assert len(exemplar.detail) == 400
