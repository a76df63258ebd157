"""Pods are processes: what happens when they die, are deleted, scaled, or lose their supervisor."""

import http.client
import json
import os
import signal
import socket
import threading
import time
from pathlib import Path
from typing import Any

import kube_harness
import kube_objects as objects
import pytest
from kube_clients import Kube
from kube_harness import running, wait_for
from kube_objects import NAMESPACE
from kubernetes.client.exceptions import ApiException


def gone(kube: Kube, name: str) -> bool:
    try:
        kube.core.read_namespaced_pod(name, NAMESPACE)
    except ApiException as error:
        return bool(error.status == 404)
    return False


def ask(address: tuple[str, int], path: str = "/") -> dict[str, Any]:
    """One request on a connection of its own."""
    connection = http.client.HTTPConnection(*address, timeout=5)
    try:
        connection.request("GET", path)
        body: dict[str, Any] = json.loads(connection.getresponse().read())
        return body
    finally:
        connection.close()


def make_pod(kube: Kube, name: str, *arguments: str, **container: Any) -> None:
    template = objects.template(name, kube_harness.free_port(), *arguments)
    template["spec"]["containers"][0] |= container
    template["spec"]["terminationGracePeriodSeconds"] = 1
    template["metadata"]["name"] = name
    kube.core.create_namespaced_pod(NAMESPACE, {"apiVersion": "v1", "kind": "Pod", **template})


def test_a_pod_gets_its_own_address_environment_and_volume(kube: Kube) -> None:
    pods = {pod.metadata.name: pod for pod in kube.pods("db")}
    assert len({pod.status.pod_ip for pod in pods.values()}) == 3
    pod = pods["db-2"]
    told = ask((pod.status.pod_ip, kube.ports["db"]))
    assert told["POD_NAME"] == told["NAMED"] == "db-2"
    assert told["SETTING"] == f"on {pod.status.pod_ip}"
    assert told["pid"] == kube.pid(pod)
    assert Path(told["VOLUME_DATA_DIR"]).is_dir()
    assert pod.status.pod_ip.startswith(kube.cluster.prefix + ".")


def test_a_killed_process_is_restarted_and_counted(kube: Kube) -> None:
    before = kube.core.read_namespaced_pod("db-0", NAMESPACE)
    restarts = before.status.container_statuses[0].restart_count
    os.kill(kube.pid(before), signal.SIGKILL)

    def restarted() -> Any:
        pod = kube.core.read_namespaced_pod("db-0", NAMESPACE)
        status = pod.status.container_statuses[0]
        return pod if status.restart_count == restarts + 1 and status.ready else None

    after = wait_for(restarted)
    ended = after.status.container_statuses[0].last_state.terminated
    assert (ended.exit_code, ended.reason, ended.signal) == (137, "Error", 9)
    assert after.metadata.uid == before.metadata.uid
    assert "started" in kube.core.read_namespaced_pod_log("db-0", NAMESPACE, previous=True)


def test_grace_zero_ends_process_and_object_at_once_and_the_service_goes_on(kube: Kube) -> None:
    victim, other = kube.pods("web")
    pid, address = kube.pid(victim), kube.service_address("web")
    kube.core.delete_namespaced_pod(victim.metadata.name, NAMESPACE, grace_period_seconds=0)
    assert gone(kube, victim.metadata.name)
    wait_for(lambda: not running(pid), 0.5)
    wait_for(lambda: ask_again(address) == other.metadata.name)
    for _ in range(10):
        assert ask(address)["POD_NAME"] == other.metadata.name or len(kube.ready_pods("web")) == 2
    names = {pod.metadata.name for pod in kube.settle("web", 2)}
    assert victim.metadata.name not in names
    wait_for(lambda: {ask(address)["POD_NAME"] for _ in range(4)} == names)


def ask_again(address: tuple[str, int]) -> str | None:
    """Who answers; None while the connection fails, as the first one after a kill may."""
    try:
        return str(ask(address)["POD_NAME"])
    except (OSError, http.client.HTTPException):
        return None


def test_connections_to_a_killed_pod_break(kube: Kube) -> None:
    connection = http.client.HTTPConnection(*kube.service_address("db"), timeout=5)
    connection.request("GET", "/")
    name = json.loads(connection.getresponse().read())["POD_NAME"]
    kube.core.delete_namespaced_pod(name, NAMESPACE, grace_period_seconds=0)
    assert connection.sock is None or connection.sock.recv(1) == b""
    connection.close()


def test_graceful_deletion_shows_and_ends_by_force(kube: Kube) -> None:
    make_pod(kube, "stubborn", "--stubborn")
    [pod] = kube.settle("stubborn", 1)
    started_s = time.monotonic()
    answer = kube.core.delete_namespaced_pod("stubborn", NAMESPACE)
    assert answer.metadata.deletion_grace_period_seconds == 1
    assert kube.core.read_namespaced_pod("stubborn", NAMESPACE).metadata.deletion_timestamp is not None
    assert running(kube.pid(pod))
    wait_for(lambda: gone(kube, "stubborn"))
    assert 0.9 < time.monotonic() - started_s < 2
    assert not running(kube.pid(pod))


def test_a_failing_liveness_probe_restarts_the_container(kube: Kube) -> None:
    liveness = {"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 1, "failureThreshold": 2}
    make_pod(kube, "sick", livenessProbe=liveness)
    [pod] = kube.settle("sick", 1)
    restarts = pod.status.container_statuses[0].restart_count
    with pytest.raises(ApiException):
        kube.core.connect_get_namespaced_pod_proxy_with_path("sick:http", NAMESPACE, "break")
    wait_for(lambda: kube.pods("sick")[0].status.container_statuses[0].restart_count == restarts + 1)
    kube.settle("sick", 1)
    events = kube.core.list_namespaced_event(NAMESPACE, field_selector="involvedObject.name=sick").items
    assert {"Unhealthy", "Killing"} <= {event.reason for event in events}
    kube.core.delete_namespaced_pod("sick", NAMESPACE, grace_period_seconds=0)


def test_a_command_that_fails_backs_off(kube: Kube) -> None:
    make_pod(kube, "broken", command=["/bin/sh", "-c", "echo oh no; exit 3"])
    state = "CrashLoopBackOff"

    def waiting() -> Any:
        status = kube.pods("broken")[0].status.container_statuses
        return status and status[0].state.waiting and status[0].state.waiting.reason == state and status[0]

    status = wait_for(waiting)
    assert (status.restart_count, status.last_state.terminated.exit_code) == (1, 3)
    assert "oh no" in kube.core.read_namespaced_pod_log("broken", NAMESPACE)
    kube.core.delete_namespaced_pod("broken", NAMESPACE)


def test_init_containers_run_first_and_a_pod_that_need_not_restart_completes(kube: Kube) -> None:
    shell = {"name": "first", "command": ["/bin/sh", "-c", 'echo prepared > "$VOLUME_SHARED/file"']}
    main = {"name": "main", "command": ["/bin/sh", "-c", 'cat "$VOLUME_SHARED/file"']}
    spec = {
        "restartPolicy": "Never",
        "initContainers": [shell],
        "containers": [main],
        "volumes": [{"name": "shared", "emptyDir": {}}],
    }
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "once", "labels": {"app": "once"}}, "spec": spec}
    kube.core.create_namespaced_pod(NAMESPACE, body)
    wait_for(lambda: kube.pods("once")[0].status.phase == "Succeeded")
    assert kube.core.read_namespaced_pod_log("once", NAMESPACE, container="main") == "prepared\n"
    kube.core.delete_namespaced_pod("once", NAMESPACE)
    assert gone(kube, "once")


def test_a_stateful_set_shrinks_from_its_highest_ordinal_and_keeps_names(kube: Kube) -> None:
    kube.apps.patch_namespaced_stateful_set_scale("db", NAMESPACE, {"spec": {"replicas": 2}})
    try:
        kube.core.delete_namespaced_pod("db-2", NAMESPACE, grace_period_seconds=0)
    except ApiException as error:  # the controller may have been quicker
        if error.status != 404:
            raise
    assert [pod.metadata.name for pod in kube.settle("db", 2)] == ["db-0", "db-1"]
    old = kube.core.read_namespaced_pod("db-1", NAMESPACE)
    kube.core.delete_namespaced_pod("db-1", NAMESPACE, grace_period_seconds=0)
    new = next(pod for pod in kube.settle("db", 2) if pod.metadata.name == "db-1")
    assert new.metadata.uid != old.metadata.uid
    # Its address stands in for its stable DNS name; the pods of a Deployment get new ones.
    assert new.status.pod_ip == old.status.pod_ip


def test_a_rolling_update_keeps_serving(kube: Kube) -> None:
    address, failures, over = kube.service_address("web"), [], threading.Event()

    def load() -> None:
        while not over.is_set():
            try:
                ask(address)
            except (OSError, http.client.HTTPException) as error:
                failures.append(error)

    caller = threading.Thread(target=load)
    before = {pod.metadata.name for pod in kube.pods("web")}
    caller.start()
    annotation = {"spec": {"template": {"metadata": {"annotations": {"restarted": "now"}}}}}
    kube.apps.patch_namespaced_deployment("web", NAMESPACE, annotation)
    wait_for(lambda: not before & {pod.metadata.name for pod in kube.pods("web")}, 15)
    kube.settle("web", 2)
    over.set()
    caller.join()
    # A pod ends on SIGTERM at once, so requests in flight at that instant break; a refusal would be a gap.
    assert not [error for error in failures if isinstance(error, ConnectionRefusedError)]
    revision = kube.apps.read_namespaced_deployment("web", NAMESPACE).metadata.annotations
    assert int(revision["deployment.kubernetes.io/revision"]) >= 2


def test_a_service_without_ready_endpoints_refuses(kube: Kube) -> None:
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(kube.service_address("void"), timeout=5)
    address = kube.service_address("web")
    kube.apps.patch_namespaced_deployment_scale("web", NAMESPACE, {"spec": {"replicas": 0}})
    wait_for(lambda: not kube.pods("web"))
    wait_for(lambda: refuses(address), 2)


def refuses(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False


def test_deleting_a_deployment_takes_its_pods_and_a_namespace_takes_all(kube: Kube) -> None:
    kube.core.create_namespace({"metadata": {"name": "other"}})
    body = objects.workload("Deployment", "brief", 1, kube_harness.free_port())
    body["metadata"]["namespace"] = "other"
    kube.apps.create_namespaced_deployment("other", body)
    wait_for(lambda: kube.core.list_namespaced_pod("other").items)
    kube.apps.delete_namespaced_deployment("brief", "other", propagation_policy="Foreground")
    wait_for(lambda: not kube.core.list_namespaced_pod("other").items)
    wait_for(lambda: not kube.apps.list_namespaced_deployment("other").items)
    kube.core.delete_namespace("other", _preload_content=False)
    wait_for(lambda: "other" not in {space.metadata.name for space in kube.core.list_namespace().items})


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_when_the_supervisor_ends(tmp_path: Path, number: signal.Signals) -> None:
    port = kube_harness.free_port()
    platform = [
        objects.namespace(),
        objects.service("web", port),
        objects.workload("Deployment", "web", 1, port),
        objects.workload("Deployment", "stubborn", 1, kube_harness.free_port(), "--stubborn"),
    ]
    cluster = kube_harness.start(tmp_path, platform)
    pids = cluster.facts["pids"].values()
    assert len(pids) == 3
    assert all(running(pid) for pid in pids)
    cluster.stop(number)
    wait_for(lambda: not any(running(pid) for pid in pids), 1)
