"""The sandbox's pods are processes: their identity, how they end, and that none outlives the supervisor."""

import os
import signal
import socket
from pathlib import Path
from typing import Any

import kube_harness
import kube_objects as objects
import pytest
from backends import Sandbox
from kube_clients import Kube
from kube_harness import RunningCluster, running, wait_for


def pid(pod: Any) -> int:
    return int(pod.status.container_statuses[0].container_id.removeprefix("process://"))


def service_address(kube: Kube, app: str) -> tuple[str, int]:
    return kube.core.read_namespaced_service(app, kube.namespace).spec.cluster_ip, kube.ports[app]


def test_a_pod_has_a_loopback_address_and_directories_for_its_volumes(kube: Kube, cluster: RunningCluster) -> None:
    pod = kube.pod("db-2")
    assert pod.status.pod_ip.startswith(cluster.prefix + ".")
    script = 'test -d "$VOLUME_DATA_DIR" && echo "$VOLUME_DATA_DIR"'
    body = kube.backend.maker.shell("voluminous", script, restartPolicy="Never", volumes=[{"name": "data-dir", "emptyDir": {}}])
    kube.core.create_namespaced_pod(kube.namespace, body)
    wait_for(lambda: kube.pod("voluminous").status.phase == "Succeeded")
    said = kube.core.read_namespaced_pod_log("voluminous", kube.namespace).strip()
    assert Path(said).is_relative_to(cluster.state_dir)
    kube.drop_pod("voluminous")
    wait_for(lambda: not Path(said).exists())


def test_a_killed_process_is_restarted_and_says_the_signal(kube: Kube) -> None:
    pod = kube.make_pod("killed")
    os.kill(pid(pod), signal.SIGKILL)
    wait_for(lambda: kube.pod("killed").status.container_statuses[0].restart_count == 1)
    ended = kube.pod("killed").status.container_statuses[0].last_state.terminated
    assert (ended.exit_code, ended.reason, ended.signal) == (137, "Error", 9)
    kube.drop_pod("killed")


def test_grace_zero_ends_the_process_at_once(kube: Kube) -> None:
    pod = kube.make_pod("ended", "--stubborn")
    kube.drop_pod("ended")
    wait_for(lambda: not running(pid(pod)), 0.5)


def test_a_stubborn_process_runs_until_its_grace_is_over(kube: Kube) -> None:
    pod = kube.make_pod("clinging", "--stubborn")
    kube.core.delete_namespaced_pod("clinging", kube.namespace)
    assert running(pid(pod))
    wait_for(lambda: kube.gone("clinging"))
    assert not running(pid(pod))


def test_a_pod_of_a_stateful_set_keeps_its_address(kube: Kube) -> None:
    """It stands in for the stable DNS name."""
    old = kube.pod("db-1")
    kube.drop_pod("db-1")
    new = next(pod for pod in kube.settle("db", 3) if pod.metadata.name == "db-1")
    assert new.metadata.uid != old.metadata.uid
    assert new.status.pod_ip == old.status.pod_ip


def refuses(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_service_without_ready_endpoints_refuses_at_once(kube: Kube) -> None:
    assert refuses(service_address(kube, "void"))
    kube.apps.patch_namespaced_deployment_scale("web", kube.namespace, {"spec": {"replicas": 0}})
    wait_for(lambda: not kube.pods("web"))
    wait_for(lambda: refuses(service_address(kube, "web")), 2)


def test_a_killed_service_proxy_comes_back(kube: Kube, cluster: RunningCluster) -> None:
    address = service_address(kube, "db")
    os.kill(cluster.facts["pids"]["serviceproxy"], signal.SIGKILL)
    wait_for(lambda: refuses(address), 2)
    wait_for(lambda: not refuses(address))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_when_the_supervisor_ends(tmp_path: Path, number: signal.Signals) -> None:
    port, maker = kube_harness.free_port(), Sandbox.maker
    stubborn = maker.template("stubborn", kube_harness.free_port(), "--stubborn")
    platform = [
        objects.namespace(Sandbox.namespace),
        objects.service("web", port),
        objects.workload("Deployment", "web", 1, maker.template("web", port)),
        objects.workload("Deployment", "stubborn", 1, stubborn),
    ]
    cluster = kube_harness.start(tmp_path, platform)
    pids = cluster.facts["pids"].values()
    assert len(pids) == 3
    assert all(running(pid) for pid in pids)
    cluster.stop(number)
    wait_for(lambda: not any(running(pid) for pid in pids), 1)
