"""One load worker in a pod, as the run knows it: what it has told, how its clock stands to ours, and when it counts as lost. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from orchestrator.load.wire import Report, State
from orchestrator.load.worker import LoadWorkerError
from steady_state.instants import Instant

SILENT_S = 10.0
"""A worker from which nothing is heard for so long is lost. Ours: as long as the lease of the target may go without renewal."""
CLOCK_S = 0.05
"""So far a worker's instants may be from ours. Source: design 4, more than 50 ms late is lagged."""


class GeneratorLost(LoadWorkerError):  # noqa: N818 - the name of what happened
    """A worker's arrivals are unknown from here on: the run ends, and nothing of it is charged to the target."""

    def __init__(self, who: str, why: str) -> None:
        super().__init__(f"generator lost: {who} {why}")


@dataclass(frozen=True, slots=True)
class Trip:
    """A question and its answer: sent and received by the run's clock, answered by the worker's."""

    sent_s: Instant
    answered_s: float
    received_s: Instant

    @property
    def ahead_s(self) -> float:
        """What the run's clock shows more than the worker's, if both ways took as long."""
        return (self.sent_s + self.received_s) / 2 - self.answered_s

    @property
    def error_s(self) -> float:
        """It is wrong by so much at most."""
        return (self.received_s - self.sent_s) / 2


@dataclass(slots=True)
class Followed:
    """`heard_s` is the instant of its last answer (at first: of its discovery). `skew_s`: so far its clock was away from ours at least.

    `ahead_s` is what our clock shows more than its own, once that is settled.
    """

    number: int
    pod: str
    heard_s: Instant
    state: State = "waiting"
    cursor: int = 0
    trips: int = 0
    best: Trip | None = None
    ahead_s: float | None = None
    skew_s: float = 0.0
    trouble: str = field(default="it has not answered yet")

    @property
    def who(self) -> str:
        return f"load worker {self.number} (pod {self.pod})"

    def take(self, report: Report, lines: int, trip: Trip) -> None:
        """An answer has come with so many lines from the cursor on. Raises GeneratorLost where it cannot belong to what it told before."""
        if report.first != self.cursor:
            raise GeneratorLost(self.who, f"told its lines from {report.first} on, asked for {self.cursor}")
        self.cursor += lines
        self.heard_s = trip.received_s
        self.trouble = ""
        self._look_at_clock(trip)
        self.state = report.state

    def settle_clock(self) -> None:
        """From now on it is held to the quickest trip so far: a worker's instants are translated once.

        Raises LoadWorkerError where even that was too slow to know its clock.
        """
        error_s = math.inf if self.best is None else self.best.error_s
        if self.best is None or error_s > CLOCK_S:
            raise LoadWorkerError(f"the clock of {self.who} is known to {error_s * 1000:.0f} ms only, {CLOCK_S * 1000:.0f} are allowed")
        self.ahead_s = self.best.ahead_s

    def _look_at_clock(self, trip: Trip) -> None:
        if self.ahead_s is None:
            self.trips += 1
            self.best = trip if self.best is None else min(self.best, trip, key=lambda one: one.error_s)
            return
        shown_s = trip.answered_s + self.ahead_s
        self.skew_s = max(self.skew_s, trip.sent_s - shown_s, shown_s - trip.received_s)
        if self.skew_s > CLOCK_S:
            raise GeneratorLost(self.who, f"has a clock that went {self.skew_s * 1000:.0f} ms away from ours")

    def silent(self, now: Instant, trouble: str) -> None:
        """No answer has come. Raises GeneratorLost when that lasts."""
        self.trouble = trouble
        if now - self.heard_s > SILENT_S:
            raise GeneratorLost(self.who, f"has been silent for {now - self.heard_s:.0f} s: {trouble}")
