"""Who may do what: bearer tokens, refusals of strangers, access reviews, and roles."""

import json
from collections.abc import Iterator
from typing import Any

import kubernetes
import pytest
from kube_clients import Kube
from kube_harness import wait_for
from kube_refusals import refused
from kubernetes import client
from kubernetes.client.exceptions import ApiException


@pytest.mark.parametrize("authorization", ["Bearer wrong", "Bearer wr\xf6ng", ""])
def test_a_stranger_is_refused_everywhere(kube: Kube, authorization: str) -> None:
    """A wrong token is 401; without any the server says 401, or 403 where it gives strangers a name."""
    for path in ("pods", "pods/db-0/proxy/", "pods/db-0/log", "secrets"):
        answer = kube.request("GET", f"/api/v1/namespaces/{kube.namespace}/{path}", Authorization=authorization)
        status = json.loads(answer.body)
        expected = {(401, "Unauthorized")} if authorization else {(401, "Unauthorized"), (403, "Forbidden")}
        assert (answer.code, status["reason"]) in expected
        assert (status["kind"], status["status"]) == ("Status", "Failure")


def test_a_token_is_enough(kube: Kube) -> None:
    answer = kube.request("GET", f"/api/v1/namespaces/{kube.namespace}/pods/db-0")
    assert json.loads(answer.body)["metadata"]["name"] == "db-0"


def test_access_review_allows(kube: Kube) -> None:
    assert allowed(kube.api, kube.namespace, "delete", "pods")
    assert "yes" in kube.kubectl("auth", "can-i", "delete", "pods")


def allowed(api: client.ApiClient, namespace: str, verb: str, resource: str, subresource: str = "") -> bool:
    asked = client.V1ResourceAttributes(namespace=namespace, verb=verb, resource=resource, subresource=subresource)
    review = client.V1SelfSubjectAccessReview(spec=client.V1SelfSubjectAccessReviewSpec(resource_attributes=asked))
    return bool(client.AuthorizationV1Api(api).create_self_subject_access_review(review).status.allowed)


RULES = [
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]},
    {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get"]},
    {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["own"], "verbs": ["list"]},
    {"apiGroups": ["apps"], "resources": ["deployments/scale"], "resourceNames": ["web"], "verbs": ["patch"]},
]


def client_of(kube: Kube, account: str) -> client.ApiClient:
    """A client in the name of a ServiceAccount of the namespace."""
    asked = {"spec": {"expirationSeconds": 600}}
    token = kube.core.create_namespaced_service_account_token(account, kube.namespace, asked).status.token
    configuration = kubernetes.client.Configuration(host=kube.api.configuration.host)
    configuration.ssl_ca_cert = kube.api.configuration.ssl_ca_cert
    configuration.api_key = {"authorization": f"Bearer {token}"}
    return client.ApiClient(configuration)


@pytest.fixture
def reader(kube: Kube) -> Iterator[client.ApiClient]:
    """In the name of an account that may read pods and the namespace, and scale one Deployment."""
    subject = {"kind": "ServiceAccount", "name": "reader", "namespace": kube.namespace}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"}
    rbac, named = client.RbacAuthorizationV1Api(kube.api), {"metadata": {"name": "reader"}}
    kube.core.create_namespaced_service_account(kube.namespace, named)
    rbac.create_namespaced_role(kube.namespace, {**named, "rules": RULES})
    rbac.create_namespaced_role_binding(kube.namespace, {**named, "subjects": [subject], "roleRef": reference})
    with client_of(kube, "reader") as api:
        wait_for(lambda: allowed(api, kube.namespace, "list", "pods"))
        yield api
    for delete in (rbac.delete_namespaced_role_binding, rbac.delete_namespaced_role, kube.core.delete_namespaced_service_account):
        delete("reader", kube.namespace)


def test_a_role_allows_what_it_names_and_nothing_else(kube: Kube, reader: client.ApiClient) -> None:
    core, apps, space = client.CoreV1Api(reader), client.AppsV1Api(reader), kube.namespace
    assert core.read_namespaced_pod("db-0", space).metadata.name == "db-0"
    scale = {"spec": {"replicas": 2}}
    assert apps.patch_namespaced_deployment_scale("web", space, scale, dry_run="All").spec.replicas == 2
    for call, *arguments in (
        (core.delete_namespaced_pod, "db-0", space),
        (core.read_namespaced_pod_log, "db-0", space),
        (core.connect_get_namespaced_pod_proxy, "db-0", space),
        (core.list_namespaced_config_map, space),
        (core.list_namespaced_pod, "default"),
        (core.list_pod_for_all_namespaces,),
        (core.list_node,),
        (apps.patch_namespaced_deployment_scale, "other", space, scale),
        (apps.read_namespaced_deployment_scale, "web", space),
    ):
        status = refused(403, "Forbidden", call, *arguments)
        assert f'User "system:serviceaccount:{space}:reader" cannot ' in status["message"]
    status = refused(403, "Forbidden", core.delete_namespaced_pod, "db-0", space)
    said = f'cannot delete resource "pods" in API group "" in the namespace "{space}"'
    assert status["message"] == f'pods "db-0" is forbidden: User "system:serviceaccount:{space}:reader" {said}'


def test_a_role_in_a_namespace_allows_reading_that_namespace_alone(kube: Kube, reader: client.ApiClient) -> None:
    core = client.CoreV1Api(reader)
    assert core.read_namespace(kube.namespace).metadata.name == kube.namespace
    status = refused(403, "Forbidden", core.read_namespace, "default")
    assert status["message"].endswith('cannot get resource "namespaces" in API group "" in the namespace "default"')
    refused(403, "Forbidden", core.list_namespace)


def test_a_rule_for_one_name_allows_a_list_of_that_name_alone(kube: Kube, reader: client.ApiClient) -> None:
    listed = client.CoreV1Api(reader).list_namespaced_config_map
    assert listed(kube.namespace, field_selector="metadata.name=own").items == []
    for selector in ("metadata.name=other", "metadata.name!=own", ""):
        refused(403, "Forbidden", listed, kube.namespace, field_selector=selector)


def test_reviews_say_what_a_role_allows(kube: Kube, reader: client.ApiClient) -> None:
    space = kube.namespace
    assert not allowed(reader, space, "delete", "pods")
    assert not allowed(reader, space, "get", "pods", "log")
    assert not allowed(reader, "default", "list", "pods")


def test_kubectl_is_told_what_a_role_allows(kube: Kube, reader: client.ApiClient) -> None:
    configuration = reader.configuration
    token = configuration.api_key["authorization"].removeprefix("Bearer ")
    identity = ("--kubeconfig=/dev/null", f"--server={configuration.host}", f"--certificate-authority={configuration.ssl_ca_cert}")
    asking = (*identity, f"--token={token}", "-n", kube.namespace, "auth", "can-i")
    assert kube.kubectl(*asking, "list", "pods").strip() == "yes"
    assert kube.kubectl(*asking, "delete", "pods", code=1).strip() == "no"


def test_a_role_that_is_taken_away_allows_nothing_more(kube: Kube, reader: client.ApiClient) -> None:
    rbac = client.RbacAuthorizationV1Api(kube.api)
    rbac.patch_namespaced_role("reader", kube.namespace, {"rules": []})
    wait_for(lambda: not allowed(reader, kube.namespace, "list", "pods"))
    refused(403, "Forbidden", client.CoreV1Api(reader).list_namespaced_pod, kube.namespace)


REFERENCE = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"}


def bound(kube: Kube, **binding: Any) -> tuple[int, str]:
    """Ask for a binding by plain HTTP, for the official client refuses some itself; code and message."""
    path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{kube.namespace}/rolebindings"
    body = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "bound"}} | binding
    answer = kube.request("POST", path, json.dumps(body).encode(), Content_Type="application/json")
    return answer.code, json.loads(answer.body).get("message", "")


@pytest.mark.parametrize("reference", [{}, {"roleRef": REFERENCE | {"kind": "Deployment"}}, {"roleRef": REFERENCE | {"name": ""}}])
def test_a_binding_of_what_is_no_role_is_refused(kube: Kube, reference: dict[str, Any]) -> None:
    """With whatever code: a real API server looks the role up first, and stumbles in three ways."""
    assert bound(kube, **reference)[0] >= 400


@pytest.mark.usefixtures("reader")
@pytest.mark.parametrize(
    ("field", "subject"),
    [
        ("subjects[0].kind", {"kind": "Robot", "name": "r2"}),
        ("subjects[0].name", {"kind": "ServiceAccount", "name": "", "namespace": "default"}),
    ],
)
def test_a_binding_to_nobody_is_refused(kube: Kube, field: str, subject: dict[str, Any]) -> None:
    code, message = bound(kube, roleRef=REFERENCE, subjects=[subject])
    assert (code, field in message) == (422, True), message


def test_a_binding_keeps_its_role(kube: Kube, reader: client.ApiClient) -> None:
    patch = client.RbacAuthorizationV1Api(kube.api).patch_namespaced_role_binding
    status = refused(422, "Invalid", patch, "reader", kube.namespace, {"roleRef": REFERENCE | {"name": "other"}})
    assert "cannot change roleRef" in status["message"]
    assert allowed(reader, kube.namespace, "list", "pods")


def test_a_token_goes_with_its_account(kube: Kube) -> None:
    kube.core.create_namespaced_service_account(kube.namespace, {"metadata": {"name": "passing"}})
    with client_of(kube, "passing") as api:
        core = client.CoreV1Api(api)
        refused(403, "Forbidden", core.list_namespaced_pod, kube.namespace)
        kube.core.delete_namespaced_service_account("passing", kube.namespace)

        def code() -> int:
            with pytest.raises(ApiException) as caught:
                core.list_namespaced_pod(kube.namespace)
            return int(caught.value.status)

        wait_for(lambda: code() == 401)
