"""One cluster for all tests of this folder, with clients for it."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import kube_harness
import kube_objects as objects
import kubernetes
import pytest
from kubernetes import client

NAMESPACE = objects.NAMESPACE


@dataclass
class Kube:
    """The official client's APIs, and the cluster."""

    cluster: kube_harness.RunningCluster
    api: client.ApiClient
    core: client.CoreV1Api
    apps: client.AppsV1Api
    ports: dict[str, int]

    def pods(self, app: str) -> list[Any]:
        return list(self.core.list_namespaced_pod(NAMESPACE, label_selector=f"app={app}").items)

    def ready_pods(self, app: str) -> list[Any]:
        return [pod for pod in self.pods(app) if is_ready(pod)]

    def settle(self, app: str, count: int) -> list[Any]:
        """The pods of the app once there are exactly this many and all are ready."""

        def settled() -> list[Any]:
            pods = self.pods(app)
            return pods if len(pods) == count == sum(map(is_ready, pods)) else []

        return kube_harness.wait_for(settled)

    def pid(self, pod: Any) -> int:
        return int(pod.status.container_statuses[0].container_id.removeprefix("process://"))

    def service_address(self, app: str) -> tuple[str, int]:
        service = self.core.read_namespaced_service(app, NAMESPACE)
        return service.spec.cluster_ip, service.spec.ports[0].port


def is_ready(pod: Any) -> bool:
    return any(entry.type == "Ready" and entry.status == "True" for entry in pod.status.conditions or ())


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[kube_harness.RunningCluster]:
    ports = {app: kube_harness.free_port() for app in ("web", "db", "void")}
    platform = [
        objects.namespace(),
        *(objects.service(app, port) for app, port in ports.items()),
        objects.workload("Deployment", "web", 2, ports["web"]),
        objects.workload("StatefulSet", "db", 3, ports["db"], podManagementPolicy="Parallel"),
    ]
    # A short path with a space: state directories of users may have one.
    running = kube_harness.start(tmp_path_factory.mktemp("kube state"), platform)
    running.facts["ports"] = ports
    yield running
    started_s = time.monotonic()
    assert running.stop() == 0
    assert time.monotonic() - started_s < 4


@pytest.fixture(scope="session")
def session_kube(cluster: kube_harness.RunningCluster) -> Iterator[Kube]:
    api = kubernetes.config.new_client_from_config(config_file=cluster.kubeconfig)
    with api:
        yield Kube(cluster, api, client.CoreV1Api(api), client.AppsV1Api(api), cluster.facts["ports"])


@pytest.fixture
def kube(session_kube: Kube) -> Kube:
    """The cluster with its platform as first applied: whatever a test took away is back."""
    for set_scale, app, count in (
        (session_kube.apps.patch_namespaced_deployment_scale, "web", 2),
        (session_kube.apps.patch_namespaced_stateful_set_scale, "db", 3),
    ):
        set_scale(app, NAMESPACE, {"spec": {"replicas": count}})
        session_kube.settle(app, count)
    return session_kube
