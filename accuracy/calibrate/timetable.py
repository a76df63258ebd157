"""What the scripted target does when: pure functions of the seconds since minute 0."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, model_validator

Action = Literal["serve", "error", "reset", "eof", "hang", "slow", "fallback", "stale"]
"""`error` answers 503; `reset` and `eof` end the connection without an answer; `hang` never answers; `slow` answers after SLOW_S;
`fallback` and `stale` answer at once, marked as degraded, with an age below or above the route's limit."""
State = Literal["closed", "open", "half_open"]
FAILING: frozenset[Action] = frozenset({"error", "reset", "eof", "hang"})
SLOW_S = 0.3
MAXIMUM_S = 0.2
"""The routes' p95 limit, that of recommendations and watchlist. Source: spec 4.2, 4.3."""
STALE_AFTER_S = 60.0
FALLBACK_AGE_S, STALE_AGE_S = 30, 3600


class Part(BaseModel):
    """Base of the script's parts: it crosses to the target's process as JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Phase(Part):
    """From `start_s` up to, not including, `end_s` every request that arrives meets the action."""

    start_s: float
    end_s: float
    action: Action

    @model_validator(mode="after")
    def _has_length(self) -> Self:
        if self.end_s <= self.start_s:
            raise ValueError("a phase ends after it starts")
        return self


class BreakerStep(Part):
    """From `at_s` on the breaker is in this state."""

    at_s: float
    state: State


class Script(Part):
    """All that the target will do. Routes and breakers that are not disturbed have empty lists."""

    routes: dict[str, list[Phase]]
    breakers: dict[str, list[BreakerStep]]


class RouteTimetable:
    """The phases of one route. Raises ValueError where two overlap."""

    def __init__(self, phases: Sequence[Phase]) -> None:
        self._phases = sorted(phases, key=lambda phase: phase.start_s)
        self._starts = [phase.start_s for phase in self._phases]
        for before, after in zip(self._phases, self._phases[1:], strict=False):
            if after.start_s < before.end_s:
                raise ValueError(f"phases overlap at {after.start_s} s")

    def action_at(self, at_s: float) -> Action:
        """What happens to a request that arrives so many seconds after minute 0."""
        place = bisect_right(self._starts, at_s) - 1
        if place < 0 or at_s >= self._phases[place].end_s:
            return "serve"
        return self._phases[place].action


class BreakerTimetable:
    """The states of one breaker; closed before the first step."""

    def __init__(self, steps: Sequence[BreakerStep]) -> None:
        self._steps = sorted(steps, key=lambda step: step.at_s)
        self._instants = [step.at_s for step in self._steps]

    def state_at(self, at_s: float) -> tuple[State, int]:
        """The state, and how many changes there were."""
        changes = bisect_right(self._instants, at_s)
        return (self._steps[changes - 1].state if changes else "closed"), changes
