"""chaostoolkit-kubernetes, unmodified: its actions and probes on pods, deployments, statefulsets, services and nodes."""

import gc
import json
from pathlib import Path

import kube_objects as objects
import pytest
from backends import MAY_DRAIN, REAL, deviates
from chaosk8s.deployment.actions import create_deployment, delete_deployment, rollout_deployment, scale_deployment
from chaosk8s.deployment.probes import (
    deployment_available_and_healthy,
    deployment_fully_available,
    deployment_not_fully_available,
    deployment_partially_available,
)
from chaosk8s.node.actions import cordon_node, drain_nodes, uncordon_node
from chaosk8s.node.probes import (
    all_nodes_must_be_ready_to_schedule,
    get_all_node_status_conditions,
    get_nodes,
    nodes_must_be_healthy,
    verify_nodes_condition,
)
from chaosk8s.pod.actions import delete_pods, exec_in_pods, terminate_pods
from chaosk8s.pod.probes import (
    all_pods_healthy,
    count_min_pods,
    count_pods,
    pod_is_not_available,
    pods_in_conditions,
    pods_in_phase,
    pods_not_in_phase,
    read_pod_logs,
    should_be_found_in_logs,
)
from chaosk8s.service.actions import create_service_endpoint, delete_service
from chaosk8s.service.probes import service_is_initialized
from chaosk8s.statefulset.actions import create_statefulset, remove_statefulset, scale_statefulset
from chaosk8s.statefulset.probes import statefulset_fully_available, statefulset_not_fully_available
from chaoslib.exceptions import ActivityFailed
from kube_clients import Kube
from kube_harness import free_port, wait_for


@pytest.fixture(autouse=True)
def by_kubeconfig(kube: Kube, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(kube.backend.kubeconfig))
    # The official client read the variable when it was imported.
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(kube.backend.kubeconfig))
    monkeypatch.setenv("KUBERNETES_VERIFY_SSL", "1")
    monkeypatch.setenv("KUBERNETES_CONTEXT", kube.backend.context)


@pytest.fixture
def by_token(kube: Kube, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Host mode: address and token from the environment."""
    monkeypatch.delenv("KUBECONFIG")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("KUBERNETES_HOST", kube.api.configuration.host)
    monkeypatch.setenv("KUBERNETES_API_KEY", kube.token)
    monkeypatch.setenv("KUBERNETES_API_KEY_PREFIX", "Bearer")
    monkeypatch.setenv("KUBERNETES_CA_CERT_FILE", kube.api.configuration.ssl_ca_cert)


@pytest.mark.usefixtures("by_token")
def test_terminate_pods_by_token(kube: Kube) -> None:
    before = {pod.metadata.name for pod in kube.pods("web")}
    killed = terminate_pods(label_selector="app=web", ns=kube.namespace, qty=1, grace_period=0)
    assert len(killed) == 1
    after = {pod.metadata.name for pod in kube.settle("web", 2)}
    assert before - after == set(killed)


def test_delete_pods_by_name_and_one_at_random(kube: Kube) -> None:
    old = {pod.metadata.name: pod.metadata.uid for pod in kube.pods("db")}
    delete_pods(name="db-1", ns=kube.namespace)
    wait_for(lambda: kube.uid("db-1") != old["db-1"])
    old = {pod.metadata.name: pod.metadata.uid for pod in kube.settle("db", 3)}
    [killed] = terminate_pods(label_selector="app=db", ns=kube.namespace, qty=1, rand=True, grace_period=0)
    wait_for(lambda: kube.uid(killed) != old[killed])


def test_pod_probes(kube: Kube) -> None:
    where = {"label_selector": "app=db", "ns": kube.namespace}
    assert count_pods(phase="Running", **where) == 3
    assert count_min_pods(min_count=3, phase="Running", **where) is True
    assert count_min_pods(min_count=4, phase="Running", **where) is False
    assert pods_in_phase(phase="Running", **where) is True
    assert pods_not_in_phase(phase="Pending", **where) is True
    assert pods_in_conditions(conditions=[{"type": "Ready", "status": "True"}], **where) is True
    assert all_pods_healthy(ns=kube.namespace) is True
    with pytest.raises(ActivityFailed):
        pods_in_phase(phase="Pending", **where)
    with pytest.raises(ActivityFailed):
        pod_is_not_available(name="db", label_selector="app={name}", ns=kube.namespace)
    assert pod_is_not_available(name="void", label_selector="app={name}", ns=kube.namespace) is True


def test_log_probes(kube: Kube) -> None:
    kube.ask_pod("db-0", "spoken")
    where = {"label_selector": "app=db", "ns": kube.namespace}
    logs = wait_for(lambda: (found := read_pod_logs(last="10m", **where)) and "/spoken" in found["db-0"] and found)
    assert should_be_found_in_logs(pattern="/spoken", all_containers=False, value=logs) is True
    assert set(logs) == {"db-0", "db-1", "db-2"}


@deviates("What is not there")
@pytest.mark.filterwarnings("ignore:Exception ignored in. <ssl.SSLSocket:pytest.PytestUnraisableExceptionWarning")
def test_a_command_is_executed_in_pods(kube: Kube) -> None:
    [container] = kube.pod("db-0").spec.containers
    ran = exec_in_pods(cmd="echo heard", label_selector="app=db", ns=kube.namespace, all=True, container_name=container.name)
    assert {(one["pod_name"], one["exit_code"], one["stdout"].strip()) for one in ran} == {
        (f"db-{number}", 0, "heard") for number in range(3)
    }
    # The action leaves its connections to the garbage collector: here, and not in whichever test comes next.
    gc.collect()


def test_deployments(kube: Kube) -> None:
    name, ns = "web", kube.namespace
    scale_deployment(name=name, replicas=1, ns=ns)
    kube.settle(name, 1)
    assert deployment_available_and_healthy(name=name, ns=ns) is True
    assert deployment_fully_available(name=name, ns=ns, timeout=60) is True
    assert deployment_partially_available(name=name, ns=ns) is True
    [before] = kube.pods(name)
    rollout_deployment(name=name, ns=ns)
    wait_for(lambda: before.metadata.name not in {pod.metadata.name for pod in kube.settle(name, 1)})


def test_a_deployment_is_made_and_deleted(kube: Kube, tmp_path: Path) -> None:
    template = kube.backend.maker.template("made", free_port(), readinessProbe={"tcpSocket": {"port": 1}, "periodSeconds": 1})
    create_deployment(spec_path=written(tmp_path, objects.workload("Deployment", "made", 1, template)), ns=kube.namespace)
    assert deployment_not_fully_available(name="made", ns=kube.namespace, timeout=60) is True
    delete_deployment(name="made", ns=kube.namespace)
    wait_for(lambda: not kube.pods("made"))


def test_stateful_sets(kube: Kube, tmp_path: Path) -> None:
    ns = kube.namespace
    template = kube.backend.maker.template("row", free_port())
    create_statefulset(spec_path=written(tmp_path, objects.workload("StatefulSet", "row", 1, template, serviceName="row")), ns=ns)
    assert statefulset_fully_available(name="row", ns=ns, timeout=60) is True
    scale_statefulset(name="row", replicas=2, ns=ns)
    assert [pod.metadata.name for pod in kube.settle("row", 2)] == ["row-0", "row-1"]
    remove_statefulset(name="row", ns=ns)
    wait_for(lambda: not kube.pods("row"))


def test_a_stateful_set_that_never_gets_ready(kube: Kube, tmp_path: Path) -> None:
    template = kube.backend.maker.template("never", free_port(), readinessProbe={"tcpSocket": {"port": 1}, "periodSeconds": 1})
    create_statefulset(
        spec_path=written(tmp_path, objects.workload("StatefulSet", "never", 1, template, serviceName="never")), ns=kube.namespace
    )
    assert statefulset_not_fully_available(name="never", ns=kube.namespace, timeout=60) is True
    remove_statefulset(name="never", ns=kube.namespace)
    wait_for(lambda: not kube.pods("never"))


def test_services(kube: Kube, tmp_path: Path) -> None:
    ns = kube.namespace
    assert service_is_initialized(name="web", ns=ns) is True
    create_service_endpoint(spec_path=written(tmp_path, objects.service("second", free_port())), ns=ns)
    assert service_is_initialized(name="second", ns=ns) is True
    delete_service(name="second", ns=ns)
    with pytest.raises(ActivityFailed):
        service_is_initialized(name="second", ns=ns)


def test_node_probes() -> None:
    assert nodes_must_be_healthy() is True
    assert all_nodes_must_be_ready_to_schedule() is True
    assert verify_nodes_condition(condition_type="Ready", condition_value="True") is True
    assert verify_nodes_condition(condition_type="Ready", condition_value="False") is False
    names = {one["metadata"]["name"] for one in get_nodes()["items"]}
    assert {one["name"]: one["Ready"] for one in get_all_node_status_conditions()} == dict.fromkeys(names, "True")


def test_a_node_is_cordoned_and_uncordoned(kube: Kube) -> None:
    node = kube.pods("web")[0].spec.node_name
    assert node in {one["metadata"]["name"] for one in get_nodes()["items"]}
    try:
        cordon_node(name=node)
        assert kube.core.read_node(node).spec.unschedulable is True
    finally:
        uncordon_node(name=node)
    assert not kube.core.read_node(node).spec.unschedulable


@pytest.mark.skipif(bool(REAL) and not MAY_DRAIN, reason="this drain evicts everybody's pods: set CLUSTER_MAY_DRAIN=yes where nobody minds")
def test_a_node_is_drained(kube: Kube) -> None:
    node = kube.pods("web")[0].spec.node_name
    there = {pod.metadata.name for pod in kube.pods("web") if pod.spec.node_name == node}
    try:
        assert drain_nodes(name=node, timeout=90) == [node]
        assert not there & {pod.metadata.name for pod in kube.pods("web")}
        assert node not in {pod.spec.node_name for pod in kube.settle("web", 2)}
    finally:
        uncordon_node(name=node)


def written(folder: Path, obj: objects.Object) -> str:
    path = folder / "object.yaml"
    path.write_text(json.dumps(obj), encoding="utf-8")
    return str(path)
