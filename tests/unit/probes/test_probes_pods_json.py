"""Pods, workloads and selectors from the API's JSON."""

from __future__ import annotations

from typing import Any

import pytest

from probes.clients.pods import Selector, pod_of, workload_of
from probes.clients.unreachable import Unreachable


def document(*, ready: str = "True", deletion: str | None = None) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": "p-1", "uid": "u", "resourceVersion": "12", "labels": {"app": "p"}}
    if deletion:
        metadata["deletionTimestamp"] = deletion
    return {
        "metadata": metadata,
        "spec": {"containers": [{"name": "c", "ports": [{"name": "http", "containerPort": 8080}, {"containerPort": 1}]}]},
        "status": {
            "podIP": "127.1.16.1",
            "conditions": [{"type": "Ready", "status": ready}],
            "containerStatuses": [{"restartCount": 2}, {"restartCount": 1}],
        },
    }


def test_a_pod() -> None:
    pod = pod_of(document())
    assert (pod.name, pod.uid, pod.version, pod.ip, pod.ready, pod.restarts, pod.deletion) == ("p-1", "u", 12, "127.1.16.1", True, 3, "")
    assert pod.port("http") == 8080
    assert pod.port("81") == 81
    with pytest.raises(Unreachable):
        pod.port("metrics")


def test_a_pod_that_terminates_is_not_ready() -> None:
    assert not pod_of(document(deletion="2026-01-01T00:00:00Z")).ready
    assert not pod_of(document(ready="False")).ready


def test_a_pod_that_was_just_made_has_no_status() -> None:
    pod = pod_of({"metadata": {"name": "p", "uid": "u", "resourceVersion": "1"}, "spec": {}})
    assert (pod.ready, pod.ip, pod.restarts, dict(pod.ports)) == (False, "", 0, {})


def test_a_workload_and_its_selector() -> None:
    selector = {"matchLabels": {"app": "p"}, "matchExpressions": [{"key": "tier", "operator": "In", "values": ["b", "a"]}]}
    workload = workload_of({"metadata": {"name": "p"}, "spec": {"replicas": 0, "selector": selector}, "status": {}})
    assert (workload.name, workload.replicas, workload.ready_replicas) == ("p", 0, 0)
    assert workload.selector.query() == "app=p,tier in (a,b)"
    assert workload.selector.matches({"app": "p", "tier": "a"})
    assert not workload.selector.matches({"app": "p"})


def test_an_empty_selector_matches_nothing() -> None:
    assert not Selector({}).matches({"app": "p"})
