"""The plan as the judge needs it: what should have happened when, and by which numbers it is judged."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Part(BaseModel):
    """Base of all parts: immutable, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Limits(Part):
    """Numbers of the criteria. Each default's source stands in the criteria set that a plan names."""

    downtime_s: float = Field(default=1.0, description="a downtime interval this long fails zero_downtime")
    downtime_row: int = Field(default=5, description="requests due in a row, none served, that make a downtime interval")
    recovery_s: float = Field(default=120.0, description="never scaled")
    error_ratio_during: float = 0.05
    error_ratio_after: float = 0.005
    served_ratio_affected: float = 0.95
    served_ratio_others: float = 0.995
    fail_fast_extra_ms: float = Field(default=10.0, description="median of the affected route over its baseline median, breaker open")
    injection_late_s: float = 0.25
    felt_within_s: float = 10.0
    load_ratio: float = 0.99
    settled_s: float = 10.0
    settled_grown_s: float = Field(default=30.0, description="a stretch with too few samples of a route grows to this")
    settled_samples: int = 60
    slow_ratio: float = Field(default=0.05, description="share above a route's maximum that breaks its p95 limit")
    worst_window_s: float = 10.0
    degradation_min_s: float = 20.0
    samples_during: int = 60
    samples_after: int = 400
    rate_limited_ratio: float = 0.01
    delivery_within_s: float = 30.0
    refill_s: float = 120.0
    refill_ratio: float = 0.9
    refill_lookups: int = Field(default=100, description="fewer lookups in 10 s cannot show a hit rate")
    amplification_factor: float = 3.0
    amplification_floor: float = Field(
        default=0.1, description="tries a request: a dependency used less than this at the baseline counts as this"
    )
    client_error_ratio: float = 0.005


class BreakerRule(Part):
    """What one breaker must do under one fault. `opens_after` is the number of failing tries on one replica."""

    breaker: str
    rule: Literal["must_open", "may_open", "must_stay_closed"]
    opens_after: int = Field(default=1, ge=1)
    opens_within_s: float = Field(default=10.0, gt=0)
    closes_within_s: float = Field(default=15.0, gt=0)
    fails_fast_on: str | None = Field(default=None, description="route whose median may rise by fail_fast_extra_ms at most while open")
    dependency: str | None = Field(default=None, description="the label under which the replica counts its tries")


class JudgedFault(Part):
    """One planned fault. Instants are seconds from minute 0 of the hour, already scaled."""

    name: str
    kind: str
    role: str
    at_s: float
    hold_s: float = Field(default=0.0, description="0 for a one-shot fault")
    affected_routes: list[str]
    fallback_expected: bool = False
    breakers: list[BreakerRule]
    own_workload: str | None = Field(default=None, description="the workload whose replicas the fault takes away")
    not_applicable: dict[str, str] = Field(default_factory=dict, description="criterion -> why it does not apply")


class JudgedBreaker(Part):
    """A breaker that the target description can read."""

    name: str
    workload: str


class JudgedPlan(Part):
    """Everything that the judge needs to know of the plan and the target."""

    title: str
    target: str
    length_s: float
    scale_time: float
    scale_load: float
    faults: list[JudgedFault]
    limits: Limits
    criteria_set: str
    breakers: list[JudgedBreaker]
    workloads: list[str]
    routes: list[str]
    load_engine: Literal["open_loop", "none"] = Field(
        default="open_loop", description="`none`: the platform has real traffic, of which no rate is known"
    )
    sync_route: str | None = None
    queued: list[str] | None = Field(
        default=None, description="dependencies whose put-off work is made up for later; None in recordings before this was said: any"
    )
    shares_our_machine: bool = Field(default=False, description="the platform runs on the machine that judges it")
