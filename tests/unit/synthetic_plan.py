"""The plan of the synthetic hour: five faults at 40, 80, 120, 160 and 200 s, and what each may touch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from steady_state.judged_plan import BreakerRule, JudgedBreaker, JudgedFault, JudgedPlan, Limits

LENGTH_S = 240.0
RATES = {"search": 60.0, "recommendations": 20.0, "watchlist": 10.0, "content": 10.0}
DESIRED = {"api-gateway": 2, "discovery": 2, "sona": 2, "sync": 2, "auth": 1, "postgresql-replica": 3}
EVERY_ROUTE = list(RATES)
GATEWAY_BREAKER, PUBNUB_BREAKER = "gateway->discovery", "sync->pubnub"


def may_open() -> BreakerRule:
    return BreakerRule(breaker=GATEWAY_BREAKER, rule="may_open", closes_within_s=15)


def must_open(**changes: Any) -> BreakerRule:
    """The partition's rule: three failing tries of a replica at PubNub, or 10 s, and closed 15 s after the end."""
    rule = BreakerRule(
        breaker=PUBNUB_BREAKER, rule="must_open", opens_after=3, opens_within_s=10, closes_within_s=15, fails_fast_on="watchlist"
    )
    return rule.model_copy(update={"dependency": "pubnub", **changes})


def five_faults() -> list[JudgedFault]:
    """The faults of the hour at 40, 80, 120, 160 and 200 s; three are held for 12 s."""

    def fault(kind: str, at_s: float, hold_s: float, routes: list[str], breakers: Iterable[BreakerRule] = (), **more: Any) -> JudgedFault:
        return JudgedFault(
            name=kind, kind=kind, role=kind, at_s=at_s, hold_s=hold_s, affected_routes=routes, breakers=list(breakers), **more
        )

    return [
        fault("pod_kill", 40, 0, ["search", "content"], [may_open()], own_workload="discovery"),
        fault("link_latency", 80, 12, ["search"]),
        fault("replica_failure", 120, 12, EVERY_ROUTE, own_workload="postgresql-replica"),
        fault("cache_flush", 160, 0, EVERY_ROUTE),
        fault("partition", 200, 12, ["watchlist"], [must_open()], fallback_expected=True),
    ]


def plan_of(faults: list[JudgedFault], **changes: Any) -> JudgedPlan:
    plan = JudgedPlan(
        title="synthetic",
        target="nowhere",
        length_s=LENGTH_S,
        scale_time=15,
        scale_load=10,
        faults=faults,
        limits=Limits(),
        criteria_set="media-gateway-3.5",
        breakers=[
            JudgedBreaker(name=GATEWAY_BREAKER, workload="api-gateway"),
            JudgedBreaker(name=PUBNUB_BREAKER, workload="sync"),
        ],
        workloads=list(DESIRED),
        routes=EVERY_ROUTE,
        sync_route="watchlist",
    )
    return plan.model_copy(update=changes)
