"""The specification's load, turned into plans and orders."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from pydantic import ValidationError

from orchestrator.load.order import KnownUser
from orchestrator.load.profile import (
    LoadPlanError,
    Profile,
    connection_cap,
    count_users,
    order_for,
    plan_load,
    plan_outside,
    user_numbers,
)
from orchestrator.load.requests import request_makers
from probes.target import TargetDescription, load_description
from sandbox.describe import Place
from sandbox.describe import description as described
from sandbox.settings import Settings
from steady_state.instants import Span

RATIOS = {"search": 0.2, "recommendations": 0.3, "watchlist": 1.0, "content": 0.2}


def a_description(**ratios: float) -> TargetDescription:
    routes = {
        name: {"method": "GET", "path": f"/{name}", "authenticated_ratio": ratio, "maximum_ms": 100 + 100 * number}
        for number, (name, ratio) in enumerate({**RATIOS, **ratios}.items())
    }
    return TargetDescription.model_validate(
        {
            "name": "test",
            "kubernetes": {"kubeconfig": "/nowhere", "context": "c", "namespace": "n"},
            "gateway_url": "http://127.0.0.1:1",
            "users": {"count": 1000, "id_format": "user-{number:04d}", "login_path": "/login", "password_env": "P"},
            "content_id_format": "content-{number:05d}",
            "content_count": 10,
            "routes": routes,
            "roles": {},
            "workloads": {},
        }
    )


def test_rates_are_the_shares_of_the_mix_and_maxima_come_from_the_target() -> None:
    plan = plan_load(a_description(), Profile(), rate_per_s=200, seed=1, start_s=50)
    assert {name: route.rate_per_s for name, route in plan.routes.items()} == pytest.approx(
        {"search": 120, "recommendations": 40, "watchlist": 20, "content": 20}
    )
    assert [route.maximum_ms for route in plan.routes.values()] == [100, 200, 300, 400]
    assert plan.source == "load"
    assert plan.due_in("search", Span(50, 60)) == 1200


def test_phases_are_seeded_and_shorter_than_a_period() -> None:
    plans = [plan_load(a_description(), Profile(), rate_per_s=100, seed=seed, start_s=0) for seed in (1, 1, 2)]
    assert plans[0] == plans[1]
    assert plans[0] != plans[2]
    for plan in plans:
        assert all(0 <= route.phase_s < 1 / route.rate_per_s for route in plan.routes.values())


def test_outside_looks_at_every_route_with_users_of_its_own() -> None:
    description = a_description()
    plan = plan_outside(description, hz=10, seed=1, start_s=0)
    load = plan_load(description, Profile(), rate_per_s=100, seed=1, start_s=0)
    assert {name: route.rate_per_s for name, route in plan.routes.items()} == dict.fromkeys(RATIOS, 10)
    assert plan.source == "outside"
    assert not set(user_numbers(description, plan)) & set(user_numbers(description, load))
    assert list(user_numbers(description, plan))[:2] == [1000, 999]


def test_each_user_sends_about_six_requests_a_minute_as_in_the_specification() -> None:
    description = a_description()
    full = count_users(description, plan_load(description, Profile(), rate_per_s=1000, seed=1, start_s=0))
    assert full.known == 1000  # 2,800 wanted, the target has no more
    assert full.anonymous == 7000
    small = count_users(description, plan_load(description, Profile(), rate_per_s=100, seed=1, start_s=0))
    assert (small.known, small.anonymous) == (300, 700)


@pytest.mark.parametrize("seed", range(5))
def test_nobody_of_the_outside_probe_comes_near_the_platforms_limits(seed: int) -> None:
    sandbox = load_description(described(Place(Path("none"), None)), source="sandbox")
    plan = plan_outside(sandbox, hz=10, seed=seed, start_s=0)
    users = count_users(sandbox, plan)
    assert users.known < 50  # they log in before every run
    known = [KnownUser(user_id=f"user-{number}", token="t") for number in range(users.known)]
    calls = Counter[tuple[str, str, int]]()
    for name, maker in request_makers(order_for(sandbox, plan, known=known, seed=seed)).items():
        for number in range(1200):
            user, t = maker.user(number), plan.due(name, number)
            calls["second", user.user_id, int(t)] += 1
            calls["minute", user.user_id, int(t / 60)] += 1
    limits = Settings()
    assert max(count for (window, _, _), count in calls.items() if window == "minute") <= limits.rate_anonymous_per_min / 2
    assert max(count for (window, _, _), count in calls.items() if window == "second") < limits.rate_anonymous_per_s


def test_a_target_without_users_has_nobody_to_log_in() -> None:
    description = a_description(**dict.fromkeys(RATIOS, 0.0)).model_copy(update={"users": None})
    plan = plan_outside(description, hz=10, seed=1, start_s=0)
    assert (count_users(description, plan).known, list(user_numbers(description, plan))) == (0, [])
    assert order_for(description, plan, known=[], seed=1).users.anonymous == 80


def test_the_connection_cap_covers_a_target_that_holds_everything() -> None:
    plan = plan_load(a_description(), Profile(), rate_per_s=100, seed=1, start_s=0)
    assert connection_cap(plan) >= 100 * 5


def test_shares_must_sum_to_one() -> None:
    with pytest.raises(ValidationError, match=r"the shares of mix sum to 0\.9, they must sum to 1"):
        Profile(mix={"search": 0.9})


def test_a_route_that_the_target_does_not_have_is_named() -> None:
    with pytest.raises(LoadPlanError, match=r"route 'trending' is not described by target test; it has content, "):
        plan_load(a_description(), Profile(mix={"trending": 1.0}), rate_per_s=1, seed=1, start_s=0)


def test_the_targets_routes_must_give_the_profiles_share_of_authenticated_calls() -> None:
    with pytest.raises(LoadPlanError, match=r"authenticated_ratio is 0\.3, but the routes of target test give 0\.600"):
        plan_load(a_description(search=0.7), Profile(), rate_per_s=1, seed=1, start_s=0)


def test_an_order_holds_the_plan_and_survives_the_wire() -> None:
    description = a_description()
    plan = plan_outside(description, hz=10, seed=3, start_s=5)
    order = order_for(description, plan, known=[KnownUser(user_id="user-0001", token="abc")], seed=3)
    assert type(order).model_validate_json(order.model_dump_json()) == order
    assert "abc" not in repr(order)
    assert order.users.anonymous == count_users(description, plan).anonymous


def test_known_users_are_needed_where_a_route_needs_a_token() -> None:
    description = a_description()
    plan = plan_outside(description, hz=10, seed=3, start_s=5)
    with pytest.raises(ValidationError, match="route search needs a token, but no user is logged in"):
        order_for(description, plan, known=[], seed=3)


@pytest.mark.parametrize("token", ["a b", "a\r\nX-Evil: 1", ""])
def test_a_token_must_fit_into_a_header(token: str) -> None:
    with pytest.raises(ValidationError) as refused:
        KnownUser(user_id="user-0001", token=token)
    assert not token or token not in str(refused.value)
