"""One cluster for all tests of this folder, with a small platform and clients for it."""

from collections.abc import Iterator
from importlib.metadata import version

import backends
import kube_harness
import kube_objects as objects
import kubernetes
import pytest
from backends import Backend
from kube_clients import Kube
from kubernetes import client


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    terminalreporter.write_line(f"cluster: {backends.REAL or 'the sandbox'}; official client {version('kubernetes')}")


@pytest.fixture(scope="session")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    # A short path with a space: state directories of users may have one.
    with backends.backend(tmp_path_factory.mktemp("kube state")) as chosen:
        yield chosen


@pytest.fixture(scope="session")
def session_kube(backend: Backend) -> Iterator[Kube]:
    """Two pods `web`, three pods `db`, a Service for each and one, `void`, without pods; a pod that calls them, `caller-0`."""
    ports = {app: kube_harness.free_port() for app in ("web", "db", "void")}
    with kubernetes.config.new_client_from_config(config_file=str(backend.kubeconfig)) as api:
        kube = Kube(backend, api, client.CoreV1Api(api), client.AppsV1Api(api), backend.token(), ports)
        for app, port in ports.items():
            kube.core.create_namespaced_service(kube.namespace, objects.service(app, port))
        web, db = (backend.maker.template(app, ports[app]) for app in ("web", "db"))
        kube.apps.create_namespaced_deployment(kube.namespace, objects.workload("Deployment", "web", 2, web))
        parallel = objects.workload("StatefulSet", "db", 3, db, podManagementPolicy="Parallel", serviceName="db")
        kube.apps.create_namespaced_stateful_set(kube.namespace, parallel)
        caller = objects.workload(
            "StatefulSet", "caller", 1, backend.maker.template("caller", kube_harness.free_port()), serviceName="caller"
        )
        kube.apps.create_namespaced_stateful_set(kube.namespace, caller)
        kube.settle("caller", 1)
        yield kube


@pytest.fixture
def kube(session_kube: Kube) -> Kube:
    """The cluster with its platform as first applied: whatever a test took away is back."""
    session_kube.settle("caller", 1)
    for set_scale, app, count in (
        (session_kube.apps.patch_namespaced_deployment_scale, "web", 2),
        (session_kube.apps.patch_namespaced_stateful_set_scale, "db", 3),
    ):
        set_scale(app, session_kube.namespace, {"spec": {"replicas": count}})
        session_kube.settle(app, count)
    return session_kube
