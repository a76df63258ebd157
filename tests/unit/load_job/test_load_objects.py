"""The Job and the Secret of a load, as they are sent."""

from __future__ import annotations

import base64
from ipaddress import IPv4Address
from pathlib import Path
from random import Random
from typing import Any

import pytest

from orchestrator.errors import TargetError
from orchestrator.load.order import Contents, KnownUser, UserPool, WorkerOrder
from orchestrator.load.serving import read_order
from orchestrator.load_job.objects import Owner, job, packed, secret
from probes.target import JobLoad, Marks, Route
from steady_state.load_plan import LoadPlan, RoutePlan

LOAD = JobLoad(engine="job", workers=3, namespace="load", image="orchestrator:1")
OWNER = Owner("run-1", 1140)


def an_order(tokens: list[str]) -> WorkerOrder:
    return WorkerOrder(
        base_url="http://gateway:8080",
        marks=Marks(),
        routes={"a": Route(method="GET", path="/a", authenticated_ratio=0.5, maximum_ms=100)},
        plan=LoadPlan(source="load", start_s=0, workers=3, routes={"a": RoutePlan(rate_per_s=1, phase_s=0, maximum_ms=100)}),
        users=UserPool(
            known=[KnownUser(user_id=f"user-{n}", token=token) for n, token in enumerate(tokens)],
            anonymous=3,
            first_address=IPv4Address("100.64.0.1"),
        ),
        contents=Contents(id_format="c{number}", count=5),
        seed=7,
        connections=20,
    )


def made(load: JobLoad = LOAD) -> dict[str, Any]:
    return job(load, OWNER, "the-secret")


def pod(load: JobLoad = LOAD) -> dict[str, Any]:
    spec: dict[str, Any] = made(load)["spec"]["template"]["spec"]
    return spec


def test_each_worker_has_a_number_and_one_life_and_the_job_ends_by_itself() -> None:
    spec = made()["spec"]
    assert (spec["completionMode"], spec["completions"], spec["parallelism"], spec["backoffLimit"]) == ("Indexed", 3, 3, 0)
    assert (spec["activeDeadlineSeconds"], spec["ttlSecondsAfterFinished"]) == (1140, 60)
    assert pod()["restartPolicy"] == "Never"
    assert made()["metadata"]["labels"]["chaos.media-gateway/run"] == "run-1"
    assert spec["template"]["metadata"]["labels"]["chaos.media-gateway/run"] == "run-1"


def test_workers_are_spread_and_kept_off_the_nodes_that_are_named() -> None:
    assert "affinity" not in pod()
    (spread,) = pod()["topologySpreadConstraints"]
    assert spread["labelSelector"]["matchLabels"].items() <= made()["spec"]["template"]["metadata"]["labels"].items()
    assert (spread["topologyKey"], spread["whenUnsatisfiable"]) == ("kubernetes.io/hostname", "ScheduleAnyway")
    off = pod(LOAD.model_copy(update={"off_nodes": ["node2", "node3"]}))
    (term,) = off["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert term == {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "NotIn", "values": ["node2", "node3"]}]}


def test_a_worker_finds_its_order_in_the_secret_and_knows_its_number(tmp_path: Path) -> None:
    order = an_order(["token-1", "token-2"])
    metadata = {"name": "chaos-orchestrator-load", "namespace": "load", "uid": "u-1", "labels": {"a": "b"}}
    sent = secret("the-secret", {"metadata": metadata}, packed(order, "hush"))
    assert sent["metadata"]["ownerReferences"] == [
        {"apiVersion": "batch/v1", "kind": "Job", "name": "chaos-orchestrator-load", "uid": "u-1"}
    ]
    assert (sent["metadata"]["namespace"], sent["metadata"]["labels"]) == ("load", {"a": "b"})
    for name, value in sent["data"].items():
        (tmp_path / name).write_bytes(base64.b64decode(value))
    assert read_order(tmp_path, 2) == (order.model_copy(update={"worker": 2}), "hush")
    (container,) = pod()["containers"]
    assert pod()["volumes"][0]["secret"]["secretName"] == "the-secret"
    assert container["volumeMounts"][0]["mountPath"] == container["command"][-2]
    assert container["ports"][0]["containerPort"] == int(container["command"][-1])


def test_an_order_that_no_secret_can_hold_is_refused_without_a_token() -> None:
    chance = Random(5)
    tokens = [base64.b64encode(chance.randbytes(450)).decode() for _ in range(3000)]
    with pytest.raises(TargetError, match=r"with the tokens of 3000 users, a Secret may hold 1048576: let fewer users log in") as told:
        packed(an_order(tokens), "hush")
    assert tokens[0][:20] not in str(told.value)
