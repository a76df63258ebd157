"""A plan on a target: what the target does not have is refused with what it has."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from mutations import changes, mutate
from plan_mistakes import argument, full, put

from orchestrator.binding import bind
from orchestrator.errors import PlanError
from orchestrator.plan import read_plan, scaled
from orchestrator.targeting import choose, described
from probes.target import TargetDescription, load_description
from sandbox.describe import Place, description

SANDBOX = load_description(description(Place(Path("none"), None)), source="sandbox")


def bound(change: Callable[[Any], object] | None = None, target: TargetDescription = SANDBOX) -> Any:
    document = full()
    if change:
        change(document)
    return bind(scaled(read_plan(document), time_scale=15, load_scale=10), target)


def test_the_judge_gets_instants_routes_and_breakers() -> None:
    judged = bound()
    assert [(fault.kind, fault.at_s, fault.hold_s) for fault in judged.faults] == [
        ("pod_kill", 40, 0),
        ("link_latency", 80, 12),
        ("replica_failure", 120, 12),
        ("cache_flush", 160, 0),
        ("partition", 200, 12),
    ]
    kill, *_, partition = judged.faults
    assert (kill.affected_routes, kill.own_workload) == (["search", "content"], "discovery-service")
    assert (partition.affected_routes, partition.own_workload, partition.fallback_expected) == (["watchlist"], None, True)
    assert [rule.rule for rule in partition.breakers] == ["must_open"]
    assert (judged.length_s, judged.scale_time, judged.scale_load) == (240, 15, 10)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            argument(0, "role", "discoverry"),
            "has no role 'discoverry'; choose one of discovery, postgres-replica, pubnub-link, qdrant-link, redis",
        ),
        (argument(0, "role", "redis"), "pod_kill cannot act on role 'redis' (a redis); roles that fit: discovery"),
        (
            argument(1, "role", "discovery"),
            "link_latency cannot act on role 'discovery' (a workload); roles that fit: pubnub-link, qdrant-link",
        ),
        (argument(1, "role", "${QDRANT}"), "has no role '${QDRANT}'"),
        (put("extensions.0.load.mix", {"search": 0.5, "browse": 0.5}), "route 'browse' is not described"),
        (put("extensions.0.load.authenticated_ratio", 0.9), "authenticated_ratio"),
    ],
)
def test_what_the_target_does_not_have_is_refused(change: Callable[[Any], object], words: str) -> None:
    with pytest.raises(PlanError) as caught:
        bound(change)
    assert words in str(caught.value)


def test_a_criteria_set_that_speaks_of_more_than_the_target_has_is_refused() -> None:
    without_breakers = SANDBOX.model_copy(update={"breakers": []})
    with pytest.raises(PlanError, match="has no breaker 'gateway->discovery'; it has none"):
        bound(target=without_breakers)
    routes = {name: route for name, route in SANDBOX.routes.items() if name != "content"}
    with pytest.raises(PlanError, match="content"):
        bound(target=SANDBOX.model_copy(update={"routes": routes}))


@pytest.fixture
def target(tmp_path: Path) -> str:
    file = tmp_path / "target.yaml"
    file.write_text(description(Place(Path("none"), None)), encoding="utf-8")
    return str(file)


def test_a_description_in_a_file_is_taken_with_its_scales(target: str) -> None:
    choice = choose({"CHAOS_TARGET": target})
    assert (choice.owned, choice.time_scale, choice.load_scale, choice.seed) == (False, 15, 10, None)
    chosen = choose({"CHAOS_TARGET": target, "CHAOS_TIME_SCALE": "2", "CHAOS_LOAD_SCALE": "5", "CHAOS_SEED": "7", "CHAOS_FLAW": " , "})
    assert (chosen.time_scale, chosen.load_scale, chosen.seed, chosen.flaws) == (2, 5, 7, ())


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"CHAOS_TIME_SCALE": "fast"}, "CHAOS_TIME_SCALE: 'fast' is not a number"),
        ({"CHAOS_LOAD_SCALE": "1,5"}, "CHAOS_LOAD_SCALE: '1,5' is not a number"),
        ({"CHAOS_SEED": "luck"}, "CHAOS_SEED: 'luck' is not a seed"),
        ({"CHAOS_SEED": "-1"}, "CHAOS_SEED: '-1' is not a seed"),
        ({"CHAOS_FLAW": "one-replica"}, "CHAOS_FLAW: flaws are planted in a sandbox only"),
        ({"CHAOS_TARGET": "no-such-file.yaml"}, "CHAOS_TARGET: no-such-file.yaml: No such file"),
        ({"CHAOS_TARGET": "/"}, "CHAOS_TARGET: /: Is a directory"),
    ],
)
def test_a_wrong_environment_is_refused(target: str, environment: dict[str, str], words: str) -> None:
    with pytest.raises(PlanError) as caught:
        choose({"CHAOS_TARGET": target} | environment)
    assert words in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "a: [", "name: x", "\x00", "- 5"])
def test_a_file_that_is_no_description_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "target.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(PlanError, match="mend the target description"):
        choose({"CHAOS_TARGET": str(file)})


def test_a_target_without_a_cluster_refuses_what_needs_one() -> None:
    bare = SANDBOX.model_copy(update={"kubernetes": None})
    with pytest.raises(PlanError, match="declares no cluster, which role 'discovery' \\(a workload\\) needs"):
        bound(target=bare)


def test_a_platform_with_real_traffic_says_so_to_the_judge() -> None:
    real = SANDBOX.model_copy(update={"load": SANDBOX.load.model_copy(update={"engine": "none"})})
    assert (bound().load_engine, bound(target=real).load_engine) == ("open_loop", "none")


TEXT = description(Place(Path("none"), None))


@settings(max_examples=500, deadline=None)
@given(changes(yaml.safe_load(TEXT)))
def test_any_change_of_a_description_binds_or_is_refused_in_a_sentence(wanted: list[tuple[tuple[Any, ...], str, Any]]) -> None:
    document, said = yaml.safe_load(TEXT), ""
    mutate(document, wanted)
    try:
        bind(scaled(read_plan(full()), time_scale=15, load_scale=10), described(yaml.safe_dump(document), source="target.yaml"))
    except PlanError as error:
        said = str(error)
    assert "\n" not in said


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_refused_as_a_description(text: str) -> None:
    with pytest.raises(PlanError) as told:
        described(text, source="target.yaml")
    assert "\n" not in str(told.value)
