"""Objects: create, read, list in pages, select, change in four ways, delete; and how the API refuses."""

import base64
import json
from typing import Any

from backends import deviates
from kube_clients import Kube
from kube_harness import wait_for
from kube_objects import config_map, workload
from kube_refusals import refused
from kubernetes import client
from kubernetes.client.exceptions import ApiException


def drop(kube: Kube, *names: str) -> None:
    for name in names:
        kube.core.delete_namespaced_config_map(name, kube.namespace)


def test_every_kind_passes_the_clients_own_checks(kube: Kube) -> None:
    core, api, space = kube.core, kube.api, kube.namespace
    for lister in (core.list_namespaced_event, core.list_namespaced_endpoints, core.list_namespaced_service_account):
        assert lister(space).items
    assert kube.apps.list_namespaced_replica_set(space).items
    # Of the Services that have endpoints: release 35 of the client does not read a slice without any.
    slices = client.DiscoveryV1Api(api).list_namespaced_endpoint_slice(space, label_selector="app in (web, db)")
    assert len(slices.items) == 2
    assert client.CoordinationV1Api(api).list_namespaced_lease(space).items == []
    assert {node.status.node_info.operating_system for node in core.list_node().items} == {"linux"}
    assert core.read_namespace(space).metadata.labels["kubernetes.io/metadata.name"] == space
    deployment = kube.apps.read_namespaced_deployment("web", space)
    assert {entry.type: entry.status for entry in deployment.status.conditions}["Available"] == "True"
    assert deployment.status.observed_generation == deployment.metadata.generation


def test_selectors(kube: Kube) -> None:
    names = {pod.metadata.name for pod in kube.pods("db")}
    assert names == {"db-0", "db-1", "db-2"}
    by_set = kube.core.list_namespaced_pod(kube.namespace, label_selector="app in (db, web),app!=web").items
    assert {pod.metadata.name for pod in by_set} == names
    without = kube.core.list_namespaced_pod(kube.namespace, label_selector="!app").items
    assert without == []
    where = f"metadata.name=db-1,status.phase=Running,metadata.namespace={kube.namespace}"
    by_field = kube.core.list_pod_for_all_namespaces(field_selector=where).items
    assert [pod.metadata.name for pod in by_field] == ["db-1"]
    node = kube.pod("db-1").spec.node_name
    on_node = kube.core.list_namespaced_pod(kube.namespace, field_selector=f"spec.nodeName={node}").items
    assert {pod.spec.node_name for pod in on_node} == {node}
    refused(400, "BadRequest", kube.core.list_namespaced_pod, kube.namespace, field_selector="spec.colour=red")
    refused(400, "BadRequest", kube.core.list_namespaced_pod, kube.namespace, label_selector="a in b")


def test_a_list_in_pages_is_one_state(kube: Kube) -> None:
    core = kube.core
    names = [f"page-{number}" for number in range(5)]
    for name in names:
        core.create_namespaced_config_map(kube.namespace, config_map(name, paged="yes"))
    first = core.list_namespaced_config_map(kube.namespace, label_selector="paged=yes", limit=2)
    assert [one.metadata.name for one in first.items] == names[:2]
    drop(kube, "page-3")
    core.create_namespaced_config_map(kube.namespace, config_map("page-9", paged="yes"))
    rest, page = [], first
    while page.metadata._continue:
        page = core.list_namespaced_config_map(kube.namespace, label_selector="paged=yes", limit=2, _continue=page.metadata._continue)
        assert page.metadata.resource_version == first.metadata.resource_version
        rest += [one.metadata.name for one in page.items]
    assert rest == names[2:]
    drop(kube, *names[:3], names[4], "page-9")


def test_a_page_of_a_state_that_is_forgotten_is_410(kube: Kube) -> None:
    # The token of a list at revision 1, which every cluster compacts within minutes of its start.
    state = json.dumps({"v": "meta.k8s.io/v1", "rv": 1, "start": "x\u0000"})
    token = base64.urlsafe_b64encode(state.encode()).decode().rstrip("=")
    status = refused(410, "Expired", kube.core.list_namespaced_config_map, kube.namespace, limit=1, _continue=token)
    assert "continue" in status["message"]
    refused(400, "BadRequest", kube.core.list_namespaced_config_map, kube.namespace, limit=1, _continue="nonsense")


def test_config_maps_conflicts_dry_run_and_refusals(kube: Kube) -> None:
    core, space = kube.core, kube.namespace
    made = core.create_namespaced_config_map(space, config_map("settings"))
    status = refused(409, "AlreadyExists", core.create_namespaced_config_map, space, config_map("settings"))
    assert status["message"] == 'configmaps "settings" already exists'
    core.patch_namespaced_config_map("settings", space, {"data": {"other": "x"}}, dry_run="All")
    assert core.read_namespaced_config_map("settings", space).data == {"key": "1"}
    patched = core.patch_namespaced_config_map("settings", space, {"data": {"key": None, "other": "x"}})
    assert patched.data == {"other": "x"}
    refused(409, "Conflict", core.replace_namespaced_config_map, "settings", space, made)
    core.delete_collection_namespaced_config_map(space, field_selector="metadata.name=settings")
    status = refused(404, "NotFound", core.read_namespaced_config_map, "settings", space)
    assert status["message"] == 'configmaps "settings" not found'
    assert status["details"] == {"name": "settings", "kind": "configmaps"}
    refused(422, "Invalid", core.create_namespaced_config_map, space, config_map("Not_a_name"))
    refused(404, "NotFound", core.create_namespaced_config_map, "nowhere-at-all", config_map("x"))


def test_what_a_refusal_says(kube: Kube) -> None:
    space = kube.namespace
    bad = config_map("labelled", colour="not a value")
    status = refused(422, "Invalid", kube.core.create_namespaced_config_map, space, bad)
    assert status["details"]["causes"][0]["field"] == "metadata.labels"
    status = refused(422, "Invalid", kube.apps.patch_namespaced_deployment, "web", space, {"spec": {"replicas": -1}})
    assert [cause["field"] for cause in status["details"]["causes"]] == ["spec.replicas"]
    assert status["message"].startswith('Deployment.apps "web" is invalid: spec.replicas: Invalid value: -1')
    assert "Error from server (NotFound)" in kube.kubectl("get", "--raw", f"/api/v1/namespaces/{space}/unheardof", code=1)
    answer = kube.request("PATCH", f"/api/v1/namespaces/{space}/pods/db-0", b"{}", Content_Type="text/plain")
    assert (answer.code, json.loads(answer.body)["reason"]) == (415, "UnsupportedMediaType")
    answer = kube.request("POST", f"/api/v1/namespaces/{space}/configmaps", b"{nonsense", Content_Type="application/json")
    assert (answer.code, json.loads(answer.body)["reason"]) == (400, "BadRequest")


def patch(kube: Kube, kind: str, name: str, body: Any, query: str = "", *, code: int = 200) -> dict[str, Any]:
    """Change a ConfigMap by a patch of this media type."""
    path = f"/api/v1/namespaces/{kube.namespace}/configmaps/{name}{query}"
    answer = kube.request("PATCH", path, json.dumps(body).encode(), Content_Type=kind)
    found: dict[str, Any] = json.loads(answer.body)
    assert answer.code == code, found
    return found


def test_merge_and_json_patches(kube: Kube) -> None:
    kube.core.create_namespaced_config_map(kube.namespace, config_map("patched", {"a": "1", "b": "2"}))
    merge, operations = "application/merge-patch+json", "application/json-patch+json"
    assert patch(kube, merge, "patched", {"data": {"a": None, "c": "3"}})["data"] == {"b": "2", "c": "3"}
    steps = [{"op": "test", "path": "/data/b", "value": "2"}, {"op": "replace", "path": "/data/b", "value": "4"}]
    assert patch(kube, operations, "patched", [*steps, {"op": "remove", "path": "/data/c"}])["data"] == {"b": "4"}
    status = patch(kube, operations, "patched", steps, code=422)
    assert status["reason"] == "Invalid"
    stale = {"metadata": {"resourceVersion": "1"}, "data": {"b": "5"}}
    assert patch(kube, merge, "patched", stale, code=409)["reason"] == "Conflict"
    drop(kube, "patched")


def test_a_patch_that_means_another_object_than_its_path_is_refused(kube: Kube) -> None:
    for name in ("meant", "other"):
        kube.core.create_namespaced_config_map(kube.namespace, config_map(name))
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "other"}, "data": {"key": "2"}}
    for kind, query in (("application/merge-patch+json", ""), ("application/apply-patch+yaml", "?fieldManager=one&force=true")):
        status = patch(kube, kind, "meant", body, query, code=400)
        assert status["message"] == "the name of the object (other) does not match the name on the URL (meant)"
    assert kube.core.read_namespaced_config_map("other", kube.namespace).data == {"key": "1"}
    drop(kube, "meant", "other")


def test_a_strategic_patch_joins_containers_and_variables_by_name(kube: Kube) -> None:
    env = [{"name": "SETTING", "value": "changed"}, {"name": "MORE", "value": "x"}]
    change = {"spec": {"template": {"spec": {"containers": [{"name": "main", "env": env}]}}}}
    before = kube.apps.read_namespaced_deployment("web", kube.namespace).spec.template.spec.containers[0]
    body = kube.apps.patch_namespaced_deployment("web", kube.namespace, change, dry_run="All")
    [container] = body.spec.template.spec.containers
    assert container.command == before.command
    found = {entry.name: entry.value for entry in container.env if entry.value is not None}
    assert {"SETTING": "changed", "MORE": "x", "PORT": str(kube.ports["web"])}.items() <= found.items()
    gone = {"name": "main", "env": [{"name": "SETTING", "$patch": "delete"}]}
    body = {"spec": {"template": {"spec": {"containers": [gone]}}}}
    patched = kube.apps.patch_namespaced_deployment("web", kube.namespace, body, dry_run="All")
    assert "SETTING" not in {entry.name for entry in patched.spec.template.spec.containers[0].env}


def apply(kube: Kube, name: str, data: dict[str, str], manager: str, *, force: bool = False, code: int = 200) -> dict[str, Any]:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}
    query = f"?fieldManager={manager}&force={str(force).lower()}"
    return patch(kube, "application/apply-patch+yaml", name, body, query, code=code)


def test_server_side_apply_creates_and_merges(kube: Kube) -> None:
    assert apply(kube, "shared", {"a": "1"}, "one", code=201)["data"] == {"a": "1"}
    assert apply(kube, "shared", {"b": "2"}, "two")["data"] == {"a": "1", "b": "2"}
    assert apply(kube, "shared", {"a": "1"}, "one")["data"] == {"a": "1", "b": "2"}
    drop(kube, "shared")


def test_two_managers_of_one_field_conflict(kube: Kube) -> None:
    apply(kube, "contended", {"a": "1"}, "one", code=201)
    status = apply(kube, "contended", {"a": "2"}, "two", code=409)
    assert status["reason"] == "Conflict"
    assert 'conflict with "one": .data.a' in status["message"]
    assert apply(kube, "contended", {"a": "2"}, "two", force=True)["data"] == {"a": "2"}
    drop(kube, "contended")


def test_what_a_manager_drops_goes_unless_another_has_it_too(kube: Kube) -> None:
    apply(kube, "dropped", {"a": "1", "b": "2", "c": "3"}, "one", code=201)
    apply(kube, "dropped", {"b": "2"}, "two")
    assert apply(kube, "dropped", {"a": "1"}, "one")["data"] == {"a": "1", "b": "2"}
    assert apply(kube, "dropped", {"a": "1"}, "two")["data"] == {"a": "1"}
    drop(kube, "dropped")


def test_who_was_overruled_by_force_has_nothing_left_to_drop(kube: Kube) -> None:
    apply(kube, "forced", {"a": "1"}, "one", code=201)
    apply(kube, "forced", {"a": "2"}, "two", force=True)
    assert apply(kube, "forced", {"b": "1"}, "one")["data"] == {"a": "2", "b": "1"}
    drop(kube, "forced")


def test_a_manager_drops_one_variable_of_a_container(kube: Kube) -> None:
    def deployment(*variables: str) -> bytes:
        template = kube.backend.maker.template("applied", kube.ports["void"])
        template["spec"]["containers"][0]["env"] += [{"name": name, "value": "x"} for name in variables]
        return json.dumps(workload("Deployment", "applied", 0, template)).encode()

    path = f"/apis/apps/v1/namespaces/{kube.namespace}/deployments/applied?fieldManager=one"
    for variables in (("FIRST", "SECOND"), ("SECOND",)):
        answer = kube.request("PATCH", path, deployment(*variables), Content_Type="application/apply-patch+yaml")
        [container] = json.loads(answer.body)["spec"]["template"]["spec"]["containers"]
        names = [entry["name"] for entry in container["env"]]
        assert names == ["POD_NAME", "POD_IP", "PORT", "SETTING", *variables]
    kube.apps.delete_namespaced_deployment("applied", kube.namespace)


def test_an_item_that_a_manager_drops_goes_with_what_the_server_filled_in(kube: Kube) -> None:
    def service(*ports: int) -> bytes:
        items = [{"name": f"port-{port}", "port": port} for port in ports]
        body = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "applied"}, "spec": {"ports": items}}
        return json.dumps(body).encode()

    path = f"/api/v1/namespaces/{kube.namespace}/services/applied?fieldManager=one"
    for ports in ((80, 81), (81,)):
        answer = kube.request("PATCH", path, service(*ports), Content_Type="application/apply-patch+yaml")
        found = json.loads(answer.body)
        assert [entry["port"] for entry in found["spec"]["ports"]] == list(ports), found
    kube.core.delete_namespaced_service("applied", kube.namespace)


@deviates("Owners by apply only")
def test_a_field_that_another_changed_without_apply_conflicts(kube: Kube) -> None:
    apply(kube, "changed", {"a": "1"}, "one", code=201)
    kube.kubectl("patch", "cm", "changed", "--type=merge", "-p", '{"data": {"a": "2"}}')
    status = apply(kube, "changed", {"a": "1"}, "one", code=409)
    assert '"kubectl-patch"' in status["message"]
    drop(kube, "changed")


def test_leases_are_taken_once(kube: Kube) -> None:
    leases = client.CoordinationV1Api(kube.api)
    body = {"metadata": {"name": "run"}, "spec": {"holderIdentity": "a", "leaseDurationSeconds": 9}}
    first = leases.create_namespaced_lease(kube.namespace, body)
    refused(409, "AlreadyExists", leases.create_namespaced_lease, kube.namespace, body)
    first.spec.holder_identity = "b"
    leases.replace_namespaced_lease("run", kube.namespace, first)
    first.spec.holder_identity = "c"
    status = refused(409, "Conflict", leases.replace_namespaced_lease, "run", kube.namespace, first)
    assert "the object has been modified" in status["message"]
    assert leases.read_namespaced_lease("run", kube.namespace).spec.holder_identity == "b"
    leases.delete_namespaced_lease("run", kube.namespace)


def test_scale_subresource(kube: Kube) -> None:
    space = kube.namespace
    assert kube.apps.read_namespaced_deployment_scale("web", space).spec.replicas == 2
    scale = kube.apps.patch_namespaced_deployment_scale("web", space, {"spec": {"replicas": 3}})
    assert (scale.spec.replicas, scale.status.selector) == (3, "app=web")
    kube.settle("web", 3)
    stale = {"metadata": {"name": "web", "namespace": space, "resourceVersion": "1"}, "spec": {"replicas": 1}}
    refused(409, "Conflict", kube.apps.replace_namespaced_deployment_scale, "web", space, stale)
    wait_for(lambda: scaled(kube, "web", 1))
    kube.settle("web", 1)


def scaled(kube: Kube, name: str, replicas: int) -> bool:
    """Replace the scale as read a moment ago; False when the deployment has changed since."""
    scale = kube.apps.read_namespaced_deployment_scale(name, kube.namespace)
    scale.spec.replicas = replicas
    try:
        return bool(kube.apps.replace_namespaced_deployment_scale(name, kube.namespace, scale))
    except ApiException as error:
        if error.status != 409:
            raise
        return False


def test_a_table(kube: Kube) -> None:
    accept = "application/json;as=Table;v=v1;g=meta.k8s.io"
    path = f"/api/v1/namespaces/{kube.namespace}/pods?labelSelector=app%3Ddb"
    table = json.loads(kube.request("GET", path, Accept=accept).body)
    assert (table["kind"], table["apiVersion"]) == ("Table", "meta.k8s.io/v1")
    shown = [column["name"] for column in table["columnDefinitions"] if column["priority"] == 0]
    assert shown == ["Name", "Ready", "Status", "Restarts", "Age"]
    wide = [column["name"] for column in table["columnDefinitions"] if column["priority"]]
    assert wide == ["IP", "Node", "Nominated Node", "Readiness Gates"]
    assert [row["cells"][:3] for row in table["rows"]] == [[f"db-{number}", "1/1", "Running"] for number in range(3)]
    assert {row["object"]["kind"] for row in table["rows"]} == {"PartialObjectMetadata"}
