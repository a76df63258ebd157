"""The circuit breaker: a state machine without I/O."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """What a breaker does with the next call."""

    CLOSED = "closed"
    HALF_OPEN = "half_open"
    OPEN = "open"

    @property
    def level(self) -> int:
        """The metric's value: 0 closed, 1 half-open, 2 open."""
        return list(State).index(self)


@dataclass(frozen=True, slots=True)
class Rules:
    """Opens after `failures` in a row; `probes` None: every call of a half-open breaker is a probe."""

    failures: int
    open_s: float
    successes: int = 1
    probes: int | None = None


@dataclass(frozen=True, slots=True)
class Permit:
    """Leave for one call; its result counts only in the stretch of state in which it was given."""

    stretch: int


@dataclass(frozen=True, slots=True)
class Change:
    """One transition, at the clock's time (s), after so many failures in a row."""

    old: State
    new: State
    at_s: float
    failure_count: int


class Breaker:
    """Closed, open or half-open; changes only at calls. Failures are counted in a row."""

    def __init__(self, rules: Rules, clock: Callable[[], float], on_change: Callable[[Change], None]) -> None:
        self.rules = rules
        self.state = State.CLOSED
        self.failure_count = 0
        self.success_count = 0
        self.opened_at_s: float | None = None
        self.last_failure_s: float | None = None
        self.transitions: Counter[State] = Counter()
        self._clock = clock
        self._on_change = on_change
        self._stretch = 0
        self._probing = 0

    def acquire(self) -> Permit | None:
        """Leave for one call, to be settled by `record`; None when the call must not be made."""
        if self.state is State.OPEN and self.remaining_s() <= 0:
            self._move(State.HALF_OPEN)
        if self.state is State.OPEN or not self._has_room():
            return None
        if self.state is State.HALF_OPEN:
            self._probing += 1
        return Permit(self._stretch)

    def would_admit(self) -> bool:
        """Whether `acquire` would give leave now; changes nothing."""
        if self.state is State.OPEN:
            return self.remaining_s() <= 0
        return self._has_room()

    def record(self, permit: Permit, *, ok: bool | None) -> None:
        """Settles a call: it succeeded, failed, or (None) was given up without a result."""
        if permit.stretch != self._stretch:
            return
        if self.state is State.HALF_OPEN:
            self._probing -= 1
        if ok is True:
            self._succeeded()
        elif ok is False:
            self._failed()

    def trip(self) -> None:
        """Opens it whatever the calls did."""
        self._move(State.OPEN)

    def remaining_s(self) -> float:
        """Seconds until an open breaker lets a probe through; 0 otherwise."""
        if self.state is not State.OPEN or self.opened_at_s is None:
            return 0.0
        return max(0.0, self.opened_at_s + self.rules.open_s - self._clock())

    def restore(self, state: State, *, failure_count: int, opened_at_s: float | None) -> None:
        """Takes over the state that another process left; not a transition."""
        self.state = state
        self.failure_count = failure_count
        self.opened_at_s = opened_at_s
        self._stretch += 1

    def _has_room(self) -> bool:
        limit = self.rules.probes
        return self.state is not State.HALF_OPEN or limit is None or self._probing < limit

    def _succeeded(self) -> None:
        self.failure_count = 0
        if self.state is State.HALF_OPEN:
            self.success_count += 1
            if self.success_count >= self.rules.successes:
                self._move(State.CLOSED)

    def _failed(self) -> None:
        self.failure_count += 1
        self.last_failure_s = self._clock()
        if self.state is State.HALF_OPEN or self.failure_count >= self.rules.failures:
            self._move(State.OPEN)

    def _move(self, new: State) -> None:
        old, self.state = self.state, new
        self._stretch += 1
        self._probing = 0
        self.success_count = 0
        self.opened_at_s = self._clock() if new is State.OPEN else self.opened_at_s
        self.transitions[new] += 1
        self._on_change(Change(old, new, self._clock(), self.failure_count))
