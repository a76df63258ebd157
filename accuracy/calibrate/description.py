"""The scripted target as the product knows it: a target description, a plan without faults, and the script of some cases."""

from __future__ import annotations

from collections.abc import Sequence

from accuracy.calibrate.cases import RATE_PER_S, STEADY, Case
from accuracy.calibrate.timetable import MAXIMUM_S, STALE_AFTER_S, Script
from orchestrator.criteria_set import load_criteria_set
from orchestrator.load.profile import Profile
from orchestrator.plan import Plan
from probes.target import BreakerSource, Check, HealthSource, MetricStateSource, Route, TargetDescription
from steady_state.stopping import StopLimits

CRITERIA = "media-gateway-3.5"
REPLICA = "scripted"
TITLE = "Calibration"
ROOM_S = 2.0
"""The load goes on for this long after the last case's window."""


def routes_of(cases: Sequence[Case]) -> list[str]:
    """A route per case that disturbs one, and the steady one."""
    return sorted({STEADY, *(case.route for case in cases)})


def script_of(cases: Sequence[Case]) -> Script:
    """What the target does for these cases."""
    phases = {case.route: list(case.phases) for case in cases if case.phases}
    return Script(
        routes={route: phases.get(route, []) for route in routes_of(cases)},
        breakers={case.name: list(case.steps) for case in cases if case.steps},
    )


def description_of(cases: Sequence[Case], url: str) -> TargetDescription:
    """The target at the URL: no cluster, no users, breakers by their own addresses."""
    return TargetDescription(
        name="scripted",
        gateway_url=url,
        content_id_format="content-{number}",
        content_count=1,
        routes={route: _route(route) for route in routes_of(cases)},
        roles={},
        breakers=[_breaker(case, url) for case in cases if case.steps],
    )


def plan_of(cases: Sequence[Case]) -> Plan:
    """A timeline in which the product itself injects nothing, with the same even load on every route."""
    routes = routes_of(cases)
    rate_per_s = RATE_PER_S * len(routes)
    load = Profile(rate_per_s=rate_per_s, authenticated_ratio=0.0, mix=dict.fromkeys(routes, 1 / len(routes)))
    return Plan(
        title=TITLE,
        length_s=max(case.end_s for case in cases) + ROOM_S,
        faults=(),
        foreign={},
        load=load,
        criteria=load_criteria_set(CRITERIA),
        stop=StopLimits(),
    )


def _route(name: str) -> Route:
    return Route(
        method="GET",
        path=f"/routes/{name}/{{operation_id}}",
        check=Check(equals={"id": "{operation_id}"}),
        authenticated_ratio=0.0,
        maximum_ms=MAXIMUM_S * 1000,
        stale_after_s=STALE_AFTER_S,
    )


def _breaker(case: Case, url: str) -> BreakerSource:
    page = f"{url}/breakers/{case.name}"
    if case.own_counter:
        return HealthSource(
            kind="health",
            name=case.name,
            url=f"{page}/health",
            replica=REPLICA,
            pointer="/breaker/state",
            transitions_pointer="/breaker/changes",
        )
    return MetricStateSource(
        kind="metric", name=case.name, url=f"{page}/metric", replica=REPLICA, metric="breaker_state", labels={"name": case.name}
    )
