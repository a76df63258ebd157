"""One cluster for all tests of this folder, with clients for it."""

import time
from collections.abc import Iterator

import kube_harness
import kube_objects as objects
import kubernetes
import pytest
from kube_clients import Kube
from kube_objects import NAMESPACE
from kubernetes import client


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
