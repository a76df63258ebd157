"""The official Kubernetes client works against the sandbox's API as against a real one."""

import json
import ssl
import urllib.error
import urllib.request
from typing import Any

import kube_harness
import pytest
from kube_clients import Kube
from kube_objects import NAMESPACE
from kubernetes import client, watch
from kubernetes.client.exceptions import ApiException


def refused(code: int, reason: str, call: Any, *arguments: Any, **named: Any) -> dict[str, Any]:
    """The Status of a call that must be refused so."""
    with pytest.raises(ApiException) as caught:
        call(*arguments, **named)
    status: dict[str, Any] = json.loads(caught.value.body)
    assert (caught.value.status, status["kind"], status["reason"], status["code"]) == (code, "Status", reason, code)
    return status


def config_map(name: str, **labels: str) -> client.V1ConfigMap:
    return client.V1ConfigMap(metadata=client.V1ObjectMeta(name=name, labels=labels), data={"key": "1"})


@pytest.mark.parametrize("authorization", [None, "Bearer wrong", "Basic Og=="])
def test_without_the_token_every_path_is_refused(cluster: kube_harness.RunningCluster, authorization: str | None) -> None:
    context = ssl.create_default_context(cafile=str(cluster.state_dir / "ca.pem"))
    for path in ("/api/v1/pods", "/version", f"/api/v1/namespaces/{NAMESPACE}/pods/db-0:http/proxy/"):
        headers = {"Authorization": authorization} if authorization else {}
        request = urllib.request.Request(cluster.facts["api_url"] + path, headers=headers)
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(request, context=context)
        with caught.value as answer:
            status = json.load(answer)
        assert (answer.code, status["reason"]) == (401, "Unauthorized")


def test_the_kubeconfig_is_private_and_names_the_namespace(cluster: kube_harness.RunningCluster) -> None:
    assert (cluster.state_dir / "kubeconfig").stat().st_mode & 0o777 == 0o600
    assert cluster.kubectl("config", "view", "--minify", "-o", "jsonpath={..namespace}") == NAMESPACE


def test_every_kind_passes_the_clients_own_checks(kube: Kube) -> None:
    core, api = kube.core, kube.api
    discovery = client.DiscoveryV1Api(api)
    for lister in (core.list_namespaced_event, core.list_namespaced_endpoints, core.list_namespaced_service_account):
        assert lister(NAMESPACE).items
    for lister in (kube.apps.list_namespaced_replica_set, discovery.list_namespaced_endpoint_slice):
        assert lister(NAMESPACE).items
    assert client.CoordinationV1Api(api).list_namespaced_lease(NAMESPACE).items == []
    assert {node.status.node_info.operating_system for node in core.list_node().items} == {"linux"}
    namespace = core.read_namespace(NAMESPACE)
    assert namespace.metadata.labels["chaos.media-gateway/enabled"] == "true"
    deployment = kube.apps.read_namespaced_deployment("web", NAMESPACE)
    assert {entry.type: entry.status for entry in deployment.status.conditions}["Available"] == "True"
    assert deployment.status.observed_generation == deployment.metadata.generation


def test_selectors(kube: Kube) -> None:
    names = {pod.metadata.name for pod in kube.pods("db")}
    assert names == {"db-0", "db-1", "db-2"}
    by_set = kube.core.list_namespaced_pod(NAMESPACE, label_selector="app in (db, web),app!=web").items
    assert {pod.metadata.name for pod in by_set} == names
    by_field = kube.core.list_pod_for_all_namespaces(field_selector="metadata.name=db-1,status.phase=Running").items
    assert [pod.metadata.name for pod in by_field] == ["db-1"]
    refused(400, "BadRequest", kube.core.list_namespaced_pod, NAMESPACE, field_selector="spec.colour=red")


def test_a_watch_continues_from_a_list_and_sees_objects_enter_and_leave_its_selector(kube: Kube) -> None:
    core = kube.core
    listed = core.list_namespaced_config_map(NAMESPACE, label_selector="watched=yes")
    core.create_namespaced_config_map(NAMESPACE, config_map("seen", watched="no"))
    core.patch_namespaced_config_map("seen", NAMESPACE, {"metadata": {"labels": {"watched": "yes"}}})
    core.patch_namespaced_config_map("seen", NAMESPACE, {"data": {"key": "2"}})
    core.patch_namespaced_config_map("seen", NAMESPACE, {"metadata": {"labels": {"watched": "no"}}})
    core.delete_namespaced_config_map("seen", NAMESPACE)
    stream = watch.Watch().stream(
        core.list_namespaced_config_map,
        NAMESPACE,
        label_selector="watched=yes",
        resource_version=listed.metadata.resource_version,
        timeout_seconds=1,
    )
    events = [(event["type"], event["object"].data["key"]) for event in stream]
    assert events == [("ADDED", "1"), ("MODIFIED", "2"), ("DELETED", "2")]


def test_config_maps_conflicts_dry_run_and_refusals(kube: Kube) -> None:
    core = kube.core
    made = core.create_namespaced_config_map(NAMESPACE, config_map("settings"))
    refused(409, "AlreadyExists", core.create_namespaced_config_map, NAMESPACE, config_map("settings"))
    core.patch_namespaced_config_map("settings", NAMESPACE, {"data": {"other": "x"}}, dry_run="All")
    assert core.read_namespaced_config_map("settings", NAMESPACE).data == {"key": "1"}
    patched = core.patch_namespaced_config_map("settings", NAMESPACE, {"data": {"key": None, "other": "x"}})
    assert patched.data == {"other": "x"}
    refused(409, "Conflict", core.replace_namespaced_config_map, "settings", NAMESPACE, made)
    core.delete_collection_namespaced_config_map(NAMESPACE, field_selector="metadata.name=settings")
    status = refused(404, "NotFound", core.read_namespaced_config_map, "settings", NAMESPACE)
    assert status["message"] == 'configmaps "settings" not found'
    refused(422, "Invalid", core.create_namespaced_config_map, NAMESPACE, config_map("Not_a_name"))
    refused(404, "NotFound", core.create_namespaced_config_map, "nowhere", config_map("x"))


def test_a_lease_taken_by_another_is_a_conflict(kube: Kube) -> None:
    leases = client.CoordinationV1Api(kube.api)
    body = client.V1Lease(metadata=client.V1ObjectMeta(name="run"), spec=client.V1LeaseSpec(holder_identity="a", lease_duration_seconds=9))
    first = leases.create_namespaced_lease(NAMESPACE, body)
    refused(409, "AlreadyExists", leases.create_namespaced_lease, NAMESPACE, body)
    first.spec.holder_identity = "b"
    leases.replace_namespaced_lease("run", NAMESPACE, first)
    first.spec.holder_identity = "c"
    refused(409, "Conflict", leases.replace_namespaced_lease, "run", NAMESPACE, first)
    assert leases.read_namespaced_lease("run", NAMESPACE).spec.holder_identity == "b"
    leases.delete_namespaced_lease("run", NAMESPACE)


def test_access_review_allows(kube: Kube) -> None:
    attributes = client.V1ResourceAttributes(namespace=NAMESPACE, verb="delete", resource="pods")
    review = client.V1SelfSubjectAccessReview(spec=client.V1SelfSubjectAccessReviewSpec(resource_attributes=attributes))
    answer = client.AuthorizationV1Api(kube.api).create_self_subject_access_review(review)
    assert answer.status.allowed is True


def test_scale_subresource(kube: Kube) -> None:
    assert kube.apps.read_namespaced_deployment_scale("web", NAMESPACE).spec.replicas == 2
    scale = kube.apps.patch_namespaced_deployment_scale("web", NAMESPACE, {"spec": {"replicas": 3}})
    assert (scale.spec.replicas, scale.status.selector) == (3, "app=web")
    kube.settle("web", 3)
    kube.apps.patch_namespaced_deployment("web", NAMESPACE, {"spec": {"replicas": 1}})
    kube.settle("web", 1)


def test_pod_proxy(kube: Kube) -> None:
    core, port = kube.core, kube.ports["db"]
    for name in (f"db-1:{port}", "db-1:http", "db-1"):
        body = core.connect_get_namespaced_pod_proxy_with_path(name, NAMESPACE, "a/b", _preload_content=False)
        assert json.loads(body.data)["POD_NAME"] == "db-1"
    path = f"/api/v1/namespaces/{NAMESPACE}/pods/db-1:http/proxy/a%20b/?q=x%2Fy"
    answer = kube.api.call_api("GET", url(kube, path), header_params=authorization(kube))
    assert json.loads(answer.read())["path"] == "/a%20b/?q=x%2Fy"
    headers = authorization(kube) | {"X-Test": "passed", "Content-Type": "application/json"}
    posted = kube.api.call_api("POST", url(kube, path), header_params=headers, body={"k": 1})
    assert (posted.status, posted.read()) == (201, b'passed|{"k": 1}')
    service = core.connect_get_namespaced_service_proxy_with_path("db:http", NAMESPACE, "x", _preload_content=False)
    assert json.loads(service.data)["path"] == "/x"


def test_pod_proxy_says_503_when_the_port_is_closed(kube: Kube) -> None:
    call = kube.core.connect_get_namespaced_pod_proxy
    refused(503, "ServiceUnavailable", call, f"db-1:{kube_harness.free_port()}", NAMESPACE)
    refused(404, "NotFound", call, "db-9:http", NAMESPACE)
    refused(503, "ServiceUnavailable", kube.core.connect_get_namespaced_service_proxy, "void:http", NAMESPACE)


def url(kube: Kube, path: str) -> str:
    return str(kube.cluster.facts["api_url"]) + path


def authorization(kube: Kube) -> dict[str, str]:
    return {"Authorization": f"Bearer {kube.cluster.facts['token']}"}


def test_events_of_one_pod(kube: Kube) -> None:
    pod = kube.pods("web")[0]
    selector = f"involvedObject.name={pod.metadata.name},involvedObject.uid={pod.metadata.uid}"
    events = kube.core.list_namespaced_event(NAMESPACE, field_selector=selector).items
    assert {"Scheduled", "Pulled", "Created", "Started"} <= {event.reason for event in events}


def test_logs(kube: Kube) -> None:
    read = kube.core.read_namespaced_pod_log
    kube.core.connect_get_namespaced_pod_proxy_with_path("db-0:http", NAMESPACE, "hello")
    lines = kube_harness.wait_for(lambda: [line for line in read("db-0", NAMESPACE).splitlines() if "hello" in line])
    assert json.loads(lines[-1])["message"] == "/hello"
    assert len(read("db-0", NAMESPACE, tail_lines=1).splitlines()) == 1
    assert read("db-0", NAMESPACE, tail_lines=1, timestamps=True).split()[0].endswith("Z")
    assert "hello" in read("db-0", NAMESPACE, since_seconds=60)
    refused(400, "BadRequest", read, "db-0", NAMESPACE, container="other")
    stream = watch.Watch().stream(read, name="db-0", namespace=NAMESPACE, follow=True, tail_lines=1, _request_timeout=10)
    assert "hello" in next(stream)
    kube.core.connect_get_namespaced_pod_proxy_with_path("db-0:http", NAMESPACE, "followed")
    assert "followed" in next(stream)
    stream.close()
