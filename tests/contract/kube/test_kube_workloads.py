"""Controllers: Deployments, StatefulSets, EndpointSlices, garbage collection, budgets and evictions."""

import json
from typing import Any

import kube_objects as objects
import pytest
from kube_clients import CALLER, Kube, is_ready
from kube_harness import free_port, wait_for
from kube_refusals import refused
from kubernetes import client
from kubernetes.client.exceptions import ApiException


def names(pods: list[Any]) -> set[str]:
    return {pod.metadata.name for pod in pods}


def test_a_deleted_pod_is_replaced_and_the_service_goes_on(kube: Kube) -> None:
    victim, _ = kube.pods("web")
    kube.drop_pod(victim.metadata.name)
    assert kube.gone(victim.metadata.name)
    left = names(kube.settle("web", 2))
    assert victim.metadata.name not in left
    wait_for(lambda: {kube.call_service("web") for _ in range(8)} == left)


def test_a_rolling_update_keeps_serving(kube: Kube) -> None:
    """A pod that goes on for two seconds after SIGTERM outlasts the news that it has left its Service."""
    kube.ports["rolled"] = port = free_port()
    template = kube.backend.maker.template("rolled", port, "--linger")
    kube.core.create_namespaced_service(kube.namespace, objects.service("rolled", port))
    kube.apps.create_namespaced_deployment(kube.namespace, objects.workload("Deployment", "rolled", 2, template))
    before = names(kube.settle("rolled", 2))
    wait_for(lambda: {kube.call_service("rolled") for _ in range(8)} == before)
    address = kube.core.read_namespaced_service("rolled", kube.namespace).spec.cluster_ip
    kube.ask_pod(CALLER, "load", host=address, port=str(port))
    annotation = {"spec": {"template": {"metadata": {"annotations": {"restarted": "now"}}}}}
    kube.apps.patch_namespaced_deployment("rolled", kube.namespace, annotation)
    wait_for(lambda: not before & names(kube.pods("rolled")))
    after = names(kube.settle("rolled", 2))
    wait_for(lambda: {kube.call_service("rolled") for _ in range(8)} == after)
    seen = kube.ask_pod(CALLER, "stop")["done"]
    assert set(seen) <= before | after, seen
    assert seen.keys() & before
    assert seen.keys() & after
    deployment = kube.apps.read_namespaced_deployment("rolled", kube.namespace)
    assert deployment.metadata.annotations["deployment.kubernetes.io/revision"] == "2"
    drop_workload(kube, "rolled")
    kube.core.delete_namespaced_service("rolled", kube.namespace)


def drop_workload(kube: Kube, name: str) -> None:
    kube.apps.delete_namespaced_deployment(name, kube.namespace, propagation_policy="Foreground")
    wait_for(lambda: not kube.pods(name))


def test_a_rolling_update_never_has_too_few_or_too_many(kube: Kube) -> None:
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    template = kube.backend.maker.template("strict", free_port(), "--slow")
    body = objects.workload("Deployment", "strict", 2, template, strategy=strategy)
    kube.apps.create_namespaced_deployment(kube.namespace, body)
    before = names(kube.settle("strict", 2))
    annotation = {"spec": {"template": {"metadata": {"annotations": {"restarted": "now"}}}}}
    kube.apps.patch_namespaced_deployment("strict", kube.namespace, annotation)
    counts = []

    def over() -> bool:
        pods = kube.pods("strict")
        staying = [pod for pod in pods if pod.metadata.deletion_timestamp is None]
        counts.append((len(names(kube.ready_pods("strict"))), len(staying)))
        return not before & names(pods)

    wait_for(over)
    assert min(ready for ready, _ in counts) >= 2
    assert max(staying for _, staying in counts) <= 3
    drop_workload(kube, "strict")


def test_a_template_that_never_gets_ready_stops_the_update(kube: Kube) -> None:
    template = kube.backend.maker.template("stuck", free_port())
    kube.apps.create_namespaced_deployment(kube.namespace, objects.workload("Deployment", "stuck", 2, template))
    before = names(kube.settle("stuck", 2))
    never = {"tcpSocket": {"port": 1}, "httpGet": None, "periodSeconds": 1}
    change = {"spec": {"template": {"spec": {"containers": [{"name": "main", "readinessProbe": never}]}}}}
    kube.apps.patch_namespaced_deployment("stuck", kube.namespace, change)
    wait_for(lambda: len(kube.pods("stuck")) == 3)
    status = wait_for(lambda: updated(kube, "stuck"))
    assert (status.updated_replicas, status.unavailable_replicas) == (1, 1)
    assert names(kube.ready_pods("stuck")) == before
    drop_workload(kube, "stuck")


def updated(kube: Kube, name: str) -> Any:
    status = kube.apps.read_namespaced_deployment(name, kube.namespace).status
    return status if status.updated_replicas and status.unavailable_replicas else None


def test_a_stateful_set_starts_in_order_and_shrinks_from_its_highest_ordinal(kube: Kube) -> None:
    template = kube.backend.maker.template("ordered", free_port(), "--slow")
    body = objects.workload("StatefulSet", "ordered", 3, template, serviceName="ordered")
    kube.apps.create_namespaced_stateful_set(kube.namespace, body)
    seen = []

    def complete() -> bool:
        pods = kube.pods("ordered")
        seen.append((len(pods), sum(map(is_ready, pods))))
        return seen[-1] == (3, 3)

    wait_for(complete)
    assert all(there <= ready + 1 for there, ready in seen), seen
    pods = {pod.metadata.name: pod for pod in kube.pods("ordered")}
    assert sorted(pods) == ["ordered-0", "ordered-1", "ordered-2"]
    started = [pods[f"ordered-{n}"].status.container_statuses[0].state.running.started_at for n in range(3)]
    assert started == sorted(started)
    assert all(pod.metadata.labels["apps.kubernetes.io/pod-index"] == name[-1] for name, pod in pods.items())
    kube.apps.patch_namespaced_stateful_set_scale("ordered", kube.namespace, {"spec": {"replicas": 1}})
    assert names(kube.settle("ordered", 1)) == {"ordered-0"}
    kube.apps.delete_namespaced_stateful_set("ordered", kube.namespace)
    wait_for(lambda: not kube.pods("ordered"))


def test_a_pod_of_a_stateful_set_comes_back_by_its_name(kube: Kube) -> None:
    old = kube.uid("db-1")
    kube.drop_pod("db-1")
    wait_for(lambda: kube.uid("db-1") not in (None, old))
    assert names(kube.settle("db", 3)) == {"db-0", "db-1", "db-2"}


def test_endpoint_slices_follow_readiness(kube: Kube) -> None:
    slices = client.DiscoveryV1Api(kube.api)

    def conditions(app: str) -> dict[str, bool]:
        """Ready or not, by the pod's name."""
        found = slices.list_namespaced_endpoint_slice(kube.namespace, label_selector=f"kubernetes.io/service-name={app}").items
        return {entry.target_ref.name: bool(entry.conditions.ready) for one in found for entry in one.endpoints or ()}

    before = wait_for(lambda: len(found := conditions("db")) == 3 and all(found.values()) and found)
    assert set(before) == {"db-0", "db-1", "db-2"}
    kube.request("GET", kube.pod_path("db-1", "break"))
    wait_for(lambda: conditions("db") == {"db-0": True, "db-1": False, "db-2": True})
    wait_for(lambda: {kube.call_service("db") for _ in range(8)} == {"db-0", "db-2"})
    endpoints = kube.core.read_namespaced_endpoints("db", kube.namespace).subsets[0]
    assert [entry.target_ref.name for entry in endpoints.not_ready_addresses] == ["db-1"]
    kube.drop_pod("db-1")
    wait_for(lambda: conditions("db") == {"db-0": True, "db-1": True, "db-2": True})


def test_a_service_without_endpoints_is_not_served(kube: Kube) -> None:
    where = "apis/discovery.k8s.io/v1/namespaces"
    path = f"/{where}/{kube.namespace}/endpointslices?labelSelector=kubernetes.io%2Fservice-name%3Dvoid"
    [found] = json.loads(kube.request("GET", path).body)["items"]
    assert found["endpoints"] is None
    assert kube.call_service("void") in ("ConnectionRefusedError", "TimeoutError")


def test_a_deployment_takes_its_pods_along_unless_they_are_orphaned(kube: Kube) -> None:
    template = kube.backend.maker.template("owner", free_port())
    kube.apps.create_namespaced_deployment(kube.namespace, objects.workload("Deployment", "owner", 1, template))
    [pod] = kube.settle("owner", 1)
    [reference] = pod.metadata.owner_references
    assert (reference.kind, reference.controller) == ("ReplicaSet", True)
    kube.apps.delete_namespaced_deployment("owner", kube.namespace, propagation_policy="Orphan")
    [replica_set] = wait_for(lambda: [one for one in replica_sets(kube, "owner") if not one.metadata.owner_references])
    assert replica_set.metadata.name == reference.name
    assert kube.uid(pod.metadata.name) == pod.metadata.uid
    kube.apps.delete_namespaced_replica_set(reference.name, kube.namespace, propagation_policy="Background")
    wait_for(lambda: not kube.pods("owner"))


def test_an_owner_that_is_deleted_in_the_foreground_waits_for_what_it_owns(kube: Kube) -> None:
    template = kube.backend.maker.template("waiting", free_port())
    kube.apps.create_namespaced_deployment(kube.namespace, objects.workload("Deployment", "waiting", 1, template))
    kube.settle("waiting", 1)
    kube.apps.delete_namespaced_deployment("waiting", kube.namespace, propagation_policy="Foreground")
    seen: list[tuple[bool, list[str]]] = []

    def gone() -> bool:
        found = kube.apps.list_namespaced_deployment(kube.namespace, field_selector="metadata.name=waiting").items
        seen.extend((one.metadata.deletion_timestamp is not None, one.metadata.finalizers) for one in found)
        return not found

    wait_for(gone)
    assert kube.pods("waiting") == []
    assert seen
    assert all(one == (True, ["foregroundDeletion"]) for one in seen)


def replica_sets(kube: Kube, app: str) -> list[Any]:
    return list(kube.apps.list_namespaced_replica_set(kube.namespace, label_selector=f"app={app}").items)


def test_what_refers_to_an_owner_goes_with_it(kube: Kube) -> None:
    core, space = kube.core, kube.namespace
    owner = core.create_namespaced_config_map(space, objects.config_map("owner"))
    owned = objects.config_map("owned")
    owned["metadata"]["ownerReferences"] = [{"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner.metadata.uid}]
    core.create_namespaced_config_map(space, owned)
    core.delete_namespaced_config_map("owner", space)
    wait_for(lambda: "owned" not in {one.metadata.name for one in core.list_namespaced_config_map(space).items})


def test_a_namespace_takes_everything_along(kube: Kube) -> None:
    space = f"{kube.namespace}-brief"
    kube.core.create_namespace(objects.namespace(space))
    template = kube.backend.maker.template("brief", free_port())
    wait_for(lambda: kube.core.list_namespaced_service_account(space).items)
    kube.apps.create_namespaced_deployment(space, objects.workload("Deployment", "brief", 1, template))
    wait_for(lambda: kube.core.list_namespaced_pod(space).items)
    kube.core.delete_namespace(space, _preload_content=False)
    wait_for(lambda: space not in {one.metadata.name for one in kube.core.list_namespace().items}, 60)


def evict(kube: Kube, name: str, **options: Any) -> Any:
    body = {"metadata": {"name": name, "namespace": kube.namespace}, "deleteOptions": options or None}
    return kube.core.create_namespaced_pod_eviction(name, kube.namespace, body)


def test_an_eviction_without_a_budget_deletes(kube: Kube) -> None:
    name = kube.pods("web")[0].metadata.name
    evict(kube, name)
    wait_for(lambda: kube.gone(name))
    refused(404, "NotFound", evict, kube, "nothing")


@pytest.fixture
def budgets(kube: Kube) -> Any:
    policy = client.PolicyV1Api(kube.api)
    policy.create_namespaced_pod_disruption_budget(kube.namespace, objects.budget("web", least=2))
    yield policy
    policy.delete_namespaced_pod_disruption_budget("web", kube.namespace)


def spare(budgets: Any, kube: Kube) -> int | None:
    status = budgets.read_namespaced_pod_disruption_budget("web", kube.namespace).status
    return status.disruptions_allowed if status and status.expected_pods else None


def test_a_budget_refuses_an_eviction_until_it_is_loosened(kube: Kube, budgets: Any) -> None:
    wait_for(lambda: spare(budgets, kube) == 0)
    name = kube.pods("web")[0].metadata.name
    status = refused(429, "TooManyRequests", evict, kube, name)
    assert status["message"] == "Cannot evict pod as it would violate the pod's disruption budget."
    assert status["details"]["causes"][0]["reason"] == "DisruptionBudget"
    assert not kube.gone(name)
    budgets.patch_namespaced_pod_disruption_budget("web", kube.namespace, {"spec": {"minAvailable": 1}})
    wait_for(lambda: spare(budgets, kube) == 1)
    evict(kube, name, gracePeriodSeconds=0)
    wait_for(lambda: kube.gone(name))


def test_a_budget_counts_pods_that_are_not_ready(kube: Kube, budgets: Any) -> None:
    change = {"spec": {"minAvailable": None, "maxUnavailable": "50%"}}
    budgets.patch_namespaced_pod_disruption_budget("web", kube.namespace, change)
    wait_for(lambda: spare(budgets, kube) == 1)
    kube.request("GET", kube.pod_path(kube.pods("web")[0].metadata.name, "break"))
    wait_for(lambda: spare(budgets, kube) == 0)
    ready = wait_for(lambda: kube.ready_pods("web"))
    with pytest.raises(ApiException) as caught:
        evict(kube, ready[0].metadata.name)
    assert caught.value.status == 429
    for pod in kube.pods("web"):
        kube.drop_pod(pod.metadata.name)


def test_a_budget_lets_a_pod_go_that_is_not_ready_where_it_says_so(kube: Kube, budgets: Any) -> None:
    name = kube.pods("web")[0].metadata.name
    kube.request("GET", kube.pod_path(name, "break"))
    wait_for(lambda: budgets.read_namespaced_pod_disruption_budget("web", kube.namespace).status.current_healthy == 1)
    refused(429, "TooManyRequests", evict, kube, name)
    budgets.patch_namespaced_pod_disruption_budget("web", kube.namespace, {"spec": {"unhealthyPodEvictionPolicy": "AlwaysAllow"}})
    evict(kube, name, gracePeriodSeconds=0)
    wait_for(lambda: kube.gone(name))


def test_a_budget_expects_what_the_deployment_asks_for_also_in_an_update(kube: Kube) -> None:
    """An update that is stuck has three pods, of two ReplicaSets."""
    policy, template = client.PolicyV1Api(kube.api), kube.backend.maker.template("surging", free_port())
    kube.apps.create_namespaced_deployment(kube.namespace, objects.workload("Deployment", "surging", 2, template))
    kube.settle("surging", 2)
    never = {"tcpSocket": {"port": 1}, "httpGet": None, "periodSeconds": 1}
    change = {"spec": {"template": {"spec": {"containers": [{"name": "main", "readinessProbe": never}]}}}}
    kube.apps.patch_namespaced_deployment("surging", kube.namespace, change)
    wait_for(lambda: len(kube.pods("surging")) == 3)
    body = objects.budget("surging", least=1) | {"spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"app": "surging"}}}}
    policy.create_namespaced_pod_disruption_budget(kube.namespace, body)

    def counted() -> Any:
        status = policy.read_namespaced_pod_disruption_budget("surging", kube.namespace).status
        return status and status.expected_pods and status

    status = wait_for(counted)
    assert (status.expected_pods, status.desired_healthy, status.current_healthy) == (2, 1, 2)
    policy.delete_namespaced_pod_disruption_budget("surging", kube.namespace)
    drop_workload(kube, "surging")


@pytest.mark.parametrize(
    "limits", [{"minAvailable": 1, "maxUnavailable": 1}, {"minAvailable": "many"}, {"maxUnavailable": "101%"}], ids=str
)
def test_a_budget_that_makes_no_sense_is_refused(kube: Kube, limits: dict[str, Any]) -> None:
    body = objects.budget("senseless", least=1) | {"spec": limits}
    refused(422, "Invalid", client.PolicyV1Api(kube.api).create_namespaced_pod_disruption_budget, kube.namespace, body)
