"""Who may do what: bearer tokens, refusals of strangers, access reviews, and roles."""

import json
from collections.abc import Iterator

import kubernetes
import pytest
from backends import deviates
from kube_clients import Kube
from kube_refusals import refused
from kubernetes import client


@pytest.mark.parametrize("authorization", ["Bearer wrong", ""])
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


@pytest.fixture
def reader(kube: Kube) -> Iterator[client.ApiClient]:
    """A client in the name of an account that may read pods and nothing else."""
    role = {"metadata": {"name": "reader"}, "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]}]}
    subject = {"kind": "ServiceAccount", "name": "reader", "namespace": kube.namespace}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"}
    rbac = client.RbacAuthorizationV1Api(kube.api)
    kube.core.create_namespaced_service_account(kube.namespace, {"metadata": {"name": "reader"}})
    rbac.create_namespaced_role(kube.namespace, role)
    rbac.create_namespaced_role_binding(kube.namespace, {"metadata": {"name": "reader"}, "subjects": [subject], "roleRef": reference})
    asked = {"spec": {"expirationSeconds": 600}}
    token = kube.core.create_namespaced_service_account_token("reader", kube.namespace, asked).status.token
    configuration = kubernetes.client.Configuration(host=kube.api.configuration.host)
    configuration.ssl_ca_cert = kube.api.configuration.ssl_ca_cert
    configuration.api_key = {"authorization": f"Bearer {token}"}
    with client.ApiClient(configuration) as api:
        yield api
    for delete in (rbac.delete_namespaced_role_binding, rbac.delete_namespaced_role, kube.core.delete_namespaced_service_account):
        delete("reader", kube.namespace)


@deviates("One identity, no roles")
def test_a_role_allows_what_it_names_and_nothing_else(kube: Kube, reader: client.ApiClient) -> None:
    core, space = client.CoreV1Api(reader), kube.namespace
    assert core.read_namespaced_pod("db-0", space).metadata.name == "db-0"
    for call, *arguments in (
        (core.delete_namespaced_pod, "db-0", space),
        (core.read_namespaced_pod_log, "db-0", space),
        (core.list_namespaced_config_map, space),
        (core.list_namespaced_pod, "default"),
        (core.list_node,),
        (client.AppsV1Api(reader).patch_namespaced_deployment_scale, "web", space, {"spec": {"replicas": 0}}),
    ):
        status = refused(403, "Forbidden", call, *arguments)
        assert f"system:serviceaccount:{space}:reader" in status["message"]
    assert allowed(reader, space, "list", "pods")
    assert not allowed(reader, space, "delete", "pods")
    assert not allowed(reader, space, "get", "pods", "log")
    assert not allowed(reader, "default", "list", "pods")
