"""The load as it is due: arrivals are a pure function of route and arrival number, so the judge knows every due instant."""

from __future__ import annotations

import math
from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field

from steady_state.instants import Instant, Span


class RoutePlan(BaseModel):
    """When one route's requests are due, and what counts as served in time."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rate_per_s: float = Field(gt=0)
    phase_s: float = Field(ge=0, description="offset of arrival 0 from the plan's start, seeded, below 1 / rate")
    maximum_ms: float = Field(gt=0, description="a served answer slower than this is slow (p95 limit of the route)")
    served_within_ms: float = Field(default=2000, gt=0, description="later than this is late, a failure (design 6)")


class LoadPlan(BaseModel):
    """One source of requests (`load` or `outside`): even arrivals per route from `start_s` on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    start_s: Instant
    timeout_ms: float = Field(default=5000, gt=0, description="the client gives up (design 6)")
    workers: int = Field(default=1, ge=1, description="so many workers share the arrivals; each writes tallies of its own")
    routes: Mapping[str, RoutePlan]

    def due(self, route: str, number: int) -> Instant:
        """The instant at which arrival `number` (0, 1, 2 ...) of the route is due."""
        plan = self.routes[route]
        return self.start_s + plan.phase_s + number / plan.rate_per_s

    def first_at_or_after(self, route: str, instant: Instant) -> int:
        """The smallest arrival number that is due at or after the instant."""
        plan = self.routes[route]
        number = max(0, math.ceil((instant - self.start_s - plan.phase_s) * plan.rate_per_s - 1e-6))
        return number if self.due(route, number) >= instant else number + 1

    def due_in(self, route: str, span: Span) -> int:
        """How many requests of the route are due inside the span."""
        return max(0, self.first_at_or_after(route, span.end) - self.first_at_or_after(route, span.start))
