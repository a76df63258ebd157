"""The load as the specification wants it, turned into plans and orders. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from ipaddress import IPv4Address
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from orchestrator.load.order import Contents, KnownUser, UserPool, WorkerOrder
from probes.target import JobLoad, TargetDescription
from steady_state.load_plan import LoadPlan, RoutePlan

CALLS_PER_USER_PER_MIN = {"load": 6.0, "outside": 30.0}
"""Source for the load: spec 3.1 and 3.5, 10,000 users at 1,000 RPS. For the outside probe ours: fewer users log in sooner, and
30 calls are a third of what the strictest of the platform's limits (100 a minute, anonymous) lets through."""

JOB_RETIRE_AFTER_S = 10.0
"""Source: the cluster's Services lead only new connections to new pods; a minute would be half of a scaled slot."""

# The shared address space of RFC 6598, halved: no user of the load is a user of the outside probe.
_FIRST_ADDRESS = {"load": IPv4Address("100.64.0.1"), "outside": IPv4Address("100.96.0.1")}


class LoadPlanError(Exception):
    """The profile cannot be run on this target; the text is one sentence that names the key and the fix."""


class Profile(BaseModel):
    """Who sends what. The defaults are spec 3.5 (rate, users) and 3.1 (mix, authenticated)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rate_per_s: float = Field(default=1000, gt=0, description="Source: spec 3.5, Request Rate: 1,000 RPS")
    users: int = Field(default=10_000, ge=1, description="Source: spec 3.5, Concurrent Users: 10,000")
    authenticated_ratio: float = Field(default=0.30, ge=0, le=1, description="Source: spec 3.1, Authenticated: 30%")
    mix: Mapping[str, Annotated[float, Field(gt=0, le=1)]] = Field(
        default={"search": 0.6, "recommendations": 0.2, "watchlist": 0.1, "content": 0.1},
        description="share of each route. Source: spec 3.1, Traffic Mix",
    )

    @model_validator(mode="after")
    def _shares_sum_to_one(self) -> Self:
        if abs(sum(self.mix.values()) - 1) > 1e-6:
            raise ValueError(f"the shares of mix sum to {sum(self.mix.values()):g}, they must sum to 1")
        return self


def plan_load(description: TargetDescription, profile: Profile, *, rate_per_s: float, seed: int, start_s: float) -> LoadPlan:
    """The background load at `rate_per_s` in all. Raises LoadPlanError where profile and target do not fit."""
    _refuse_misfit(description, profile)
    rates = {name: rate_per_s * share for name, share in profile.mix.items()}
    plan = _plan(description, "load", rates, seed=seed, start_s=start_s)
    load = description.load
    return plan.model_copy(update={"workers": load.workers}) if isinstance(load, JobLoad) else plan


def plan_outside(description: TargetDescription, *, hz: float, seed: int, start_s: float) -> LoadPlan:
    """The look from outside: every route of the target at `hz`, beside the load and outside its rates and mix."""
    return _plan(description, "outside", dict.fromkeys(description.routes, hz), seed=seed, start_s=start_s)


def _refuse_misfit(description: TargetDescription, profile: Profile) -> None:
    for name in profile.mix:
        if name not in description.routes:
            known = ", ".join(sorted(description.routes))
            raise LoadPlanError(f"profile.mix: route {name!r} is not described by target {description.name}; it has {known}")
    ratio = sum(share * description.routes[name].authenticated_ratio for name, share in profile.mix.items())
    if abs(ratio - profile.authenticated_ratio) > 0.01:
        raise LoadPlanError(
            f"profile.authenticated_ratio is {profile.authenticated_ratio:g}, but the routes of target {description.name} give {ratio:.3f}:"
            " change authenticated_ratio of its routes"
        )


def _plan(description: TargetDescription, source: str, rates: Mapping[str, float], *, seed: int, start_s: float) -> LoadPlan:
    routes = {
        name: RoutePlan(
            rate_per_s=rate,
            phase_s=_share(seed, source, name) / rate,
            maximum_ms=description.routes[name].maximum_ms,
            served_within_ms=description.routes[name].served_within_ms,
        )
        for name, rate in rates.items()
    }
    return LoadPlan(source=source, start_s=start_s, routes=routes)


def _share(seed: int, source: str, name: str) -> float:
    """A number in [0, 1) that is the same for the same words."""
    digest = blake2b(f"{seed}/{source}/{name}/phase".encode(), digest_size=6).digest()
    return int.from_bytes(digest) / 2**48


@dataclass(frozen=True, slots=True)
class UserCounts:
    """How many users share a plan's requests."""

    known: int
    anonymous: int


def count_users(description: TargetDescription, plan: LoadPlan) -> UserCounts:
    """So many users that each sends about its source's calls a minute; known ones are limited by what the target has."""
    calls_per_min, there = CALLS_PER_USER_PER_MIN[plan.source], description.users.count if description.users else 0
    known_per_s = sum(route.rate_per_s * description.routes[name].authenticated_ratio for name, route in plan.routes.items())
    anonymous_per_s = sum(route.rate_per_s for route in plan.routes.values()) - known_per_s
    known = math.ceil(known_per_s * 60 / calls_per_min - 1e-6)
    return UserCounts(min(known, there), math.ceil(anonymous_per_s * 60 / calls_per_min - 1e-6))


def user_numbers(description: TargetDescription, plan: LoadPlan) -> Sequence[int]:
    """Which test users log in for a plan: the load counts up from the first, the outside probe down from the last."""
    count, total = count_users(description, plan).known, description.users.count if description.users else 0
    return range(1, count + 1) if plan.source == "load" else range(total, total - count, -1)


def connection_cap(plan: LoadPlan) -> int:
    """Connections of one worker for a target that holds every request until the client gives up, and some air."""
    rate_per_s = sum(route.rate_per_s for route in plan.routes.values()) / plan.workers
    return 64 + math.ceil(1.2 * rate_per_s * plan.timeout_ms / 1000)


def order_for(description: TargetDescription, plan: LoadPlan, *, known: list[KnownUser], seed: int) -> WorkerOrder:
    """The order of a plan, `known` being the users of `user_numbers` with their tokens.

    Workers that share a plan have the same order but for their number: together they send what one would.
    """
    order = WorkerOrder(
        base_url=description.gateway_url,
        marks=description.marks,
        routes={name: description.routes[name] for name in plan.routes},
        plan=plan,
        users=UserPool(known=known, anonymous=count_users(description, plan).anonymous, first_address=_FIRST_ADDRESS[plan.source]),
        contents=Contents(id_format=description.content_id_format, count=description.content_count),
        seed=seed,
        connections=connection_cap(plan),
    )
    load = description.load
    if plan.source == "load" and isinstance(load, JobLoad):
        return order.model_copy(update={"base_url": load.gateway_url or description.gateway_url, "retire_after_s": JOB_RETIRE_AFTER_S})
    return order
