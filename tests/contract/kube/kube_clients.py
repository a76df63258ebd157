"""The official client's view of the test cluster, and the ways to its pods that work on every cluster."""

import json
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import kube_harness
from backends import Backend
from kube_harness import wait_for
from kubernetes import client

CALLER = "caller-0"
"""The pod, of a StatefulSet of one, that calls Services on behalf of the tests."""


@dataclass
class Kube:
    """The official client's APIs, and the cluster."""

    backend: Backend
    api: client.ApiClient
    core: client.CoreV1Api
    apps: client.AppsV1Api
    token: str
    ports: dict[str, int]

    @property
    def namespace(self) -> str:
        return self.backend.namespace

    def kubectl(self, *arguments: str, code: int = 0) -> str:
        """Run kubectl; its output. `code` is the exit code that is expected."""
        return kube_harness.kubectl(self.backend.kubeconfig, *arguments, code=code)

    def pods(self, app: str) -> list[Any]:
        return list(self.core.list_namespaced_pod(self.namespace, label_selector=f"app={app}").items)

    def pod(self, name: str) -> Any:
        return self.core.read_namespaced_pod(name, self.namespace)

    def ready_pods(self, app: str) -> list[Any]:
        return [pod for pod in self.pods(app) if is_ready(pod)]

    def settle(self, app: str, count: int) -> list[Any]:
        """The pods of the app once there are exactly this many and all are ready."""

        def settled() -> list[Any]:
            pods = self.pods(app)
            return pods if len(pods) == count == sum(map(is_ready, pods)) else []

        return wait_for(settled)

    def uid(self, name: str) -> str | None:
        """Of the pod that has this name now; None when there is none."""
        found = self.core.list_namespaced_pod(self.namespace, field_selector=f"metadata.name={name}").items
        return str(found[0].metadata.uid) if found else None

    def gone(self, name: str) -> bool:
        return self.uid(name) is None

    def make_pod(self, name: str, *arguments: str, **container: Any) -> Any:
        """Create a pod of its own and wait until it is ready."""
        body = self.backend.maker.pod(name, kube_harness.free_port(), *arguments, **container)
        self.core.create_namespaced_pod(self.namespace, body)
        [pod] = self.settle(name, 1)
        return pod

    def drop_pod(self, name: str) -> None:
        self.core.delete_namespaced_pod(name, self.namespace, grace_period_seconds=0)

    def ask_pod(self, name: str, path: str = "", **query: str) -> Any:
        """What a pod says to a GET of the path, by way of the API server."""
        return json.loads(self.request("GET", self.pod_path(name, path, **query)).body)

    def pod_path(self, name: str, path: str = "", **query: str) -> str:
        """The path at the API server that leads to this path at the pod's first port."""
        return f"/api/v1/namespaces/{self.namespace}/pods/{name}/proxy/{path}?{urlencode(query)}"

    def call_service(self, app: str) -> str:
        """The pod that answers one request to a Service from inside the cluster, or the name of the error."""
        address = self.core.read_namespaced_service(app, self.namespace).spec.cluster_ip
        done = self.ask_pod(CALLER, "fetch", host=address, port=str(self.ports[app]))["done"]
        return str(done["who"])

    def request(self, method: str, path: str, body: bytes | None = None, **headers: str) -> "Answer":
        """One HTTP request to the API server with a bearer token (`Authorization` replaces it), whatever its answer."""
        headers = {"Authorization": f"Bearer {self.token}"} | {key.replace("_", "-"): value for key, value in headers.items()}
        request = urllib.request.Request(self.api.configuration.host + path, body, headers, method=method)
        context = ssl.create_default_context(cafile=self.api.configuration.ssl_ca_cert)
        try:
            with urllib.request.urlopen(request, timeout=30, context=context) as answer:
                return Answer(answer.status, answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.read())


@dataclass(frozen=True)
class Answer:
    code: int
    body: bytes


def is_ready(pod: Any) -> bool:
    return any(entry.type == "Ready" and entry.status == "True" for entry in pod.status.conditions or ())
