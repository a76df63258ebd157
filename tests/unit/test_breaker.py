"""The circuit breaker: when it opens, whom it lets through, when it closes."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.services.breaker import Breaker, Change, Rules, State


@dataclass
class Bench:
    """A breaker with a clock that is set by hand."""

    rules: Rules
    now_s: float = 100.0
    changes: list[Change] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.breaker = Breaker(self.rules, lambda: self.now_s, self.changes.append)

    def call(self, *, ok: bool) -> bool:
        """One call; whether it was let through."""
        permit = self.breaker.acquire()
        if permit:
            self.breaker.record(permit, ok=ok)
        return permit is not None

    def state(self) -> State:
        return self.breaker.state

    def open(self) -> None:
        for _ in range(self.rules.failures):
            self.call(ok=False)


@pytest.fixture
def bench() -> Bench:
    return Bench(Rules(failures=3, open_s=10, successes=2, probes=2))


def test_opens_after_failures_in_a_row(bench: Bench) -> None:
    for ok in (False, False, True, False, False):
        assert bench.call(ok=ok)
    assert bench.state() is State.CLOSED
    bench.call(ok=False)
    assert bench.state() is State.OPEN
    assert bench.changes == [Change(State.CLOSED, State.OPEN, 100.0, 3)]
    assert not bench.call(ok=True)


def test_stays_open_without_calls_however_long_it_waits(bench: Bench) -> None:
    bench.open()
    bench.now_s += 9
    assert (bench.breaker.remaining_s(), bench.breaker.would_admit()) == (1, False)
    bench.now_s += 1000
    assert (bench.breaker.remaining_s(), bench.breaker.would_admit()) == (0, True)
    assert bench.state() is State.OPEN


def test_half_open_closes_after_successes(bench: Bench) -> None:
    bench.open()
    bench.now_s += 10
    assert bench.call(ok=True)
    assert bench.state() is State.HALF_OPEN
    assert bench.call(ok=True)
    assert bench.state() is State.CLOSED
    assert dict(bench.breaker.transitions) == {State.OPEN: 1, State.HALF_OPEN: 1, State.CLOSED: 1}


def test_one_failed_probe_opens_again_for_the_whole_wait(bench: Bench) -> None:
    bench.open()
    bench.now_s += 10
    bench.call(ok=True)
    bench.call(ok=False)
    assert bench.state() is State.OPEN
    assert bench.breaker.remaining_s() == 10


def test_probes_are_limited_at_once_and_freed_when_given_up(bench: Bench) -> None:
    bench.open()
    bench.now_s += 10
    first, second = bench.breaker.acquire(), bench.breaker.acquire()
    assert first
    assert second
    assert bench.breaker.acquire() is None
    assert not bench.breaker.would_admit()
    bench.breaker.record(first, ok=None)
    assert bench.breaker.would_admit()


def test_unlimited_probes_and_the_first_result_decides() -> None:
    bench = Bench(Rules(failures=1, open_s=2))
    bench.open()
    bench.now_s += 2
    permits = [bench.breaker.acquire() for _ in range(5)]
    assert all(permits)
    bench.breaker.record(permits[0], ok=True)  # type: ignore[arg-type]
    assert bench.state() is State.CLOSED


def test_a_result_from_an_earlier_state_does_not_count(bench: Bench) -> None:
    late = bench.breaker.acquire()
    assert late
    bench.open()
    bench.now_s += 10
    bench.call(ok=True)
    bench.breaker.record(late, ok=False)
    assert bench.state() is State.HALF_OPEN


def test_takes_over_a_state_without_a_transition(bench: Bench) -> None:
    bench.breaker.restore(State.OPEN, failure_count=3, opened_at_s=95.0)
    assert bench.breaker.remaining_s() == 5
    assert not bench.changes


def test_the_metric_tells_the_states_apart() -> None:
    assert [state.level for state in (State.CLOSED, State.HALF_OPEN, State.OPEN)] == [0, 1, 2]


@given(steps=st.lists(st.tuples(st.booleans(), st.floats(min_value=0, max_value=20)), max_size=60))
def test_opens_only_after_enough_failures_and_never_early(steps: list[tuple[bool, float]]) -> None:
    bench = Bench(Rules(failures=3, open_s=10, successes=2, probes=2))
    row = 0
    for ok, pause_s in steps:
        bench.now_s += pause_s
        before, opened_at_s = bench.breaker.state, bench.breaker.opened_at_s
        admitted = bench.call(ok=ok)
        row = 0 if ok and admitted else row + admitted
        if before is State.CLOSED:
            assert (bench.breaker.state is State.OPEN) == (row >= 3)
        if before is State.OPEN and opened_at_s is not None:
            assert admitted == (bench.now_s >= opened_at_s + 10)
