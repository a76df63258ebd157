"""What happens in a pod and to it: addresses, requests by way of the API server, restarts, deletion, logs, events."""

import json
import time
from typing import Any

import kube_harness
from kube_clients import Kube
from kube_harness import wait_for
from kube_refusals import refused
from kubernetes import watch


def test_a_pod_gets_an_address_and_the_environment_of_its_manifest(kube: Kube) -> None:
    pods = {pod.metadata.name: pod for pod in kube.pods("db")}
    assert len({pod.status.pod_ip for pod in pods.values()}) == 3
    told = kube.ask_pod("db-2")
    assert told["POD_NAME"] == "db-2"
    assert told["POD_IP"] == pods["db-2"].status.pod_ip
    assert told["SETTING"] == f"on {told['POD_IP']}"


def test_pod_proxy(kube: Kube) -> None:
    for name in (f"db-1:{kube.ports['db']}", "db-1"):
        body = kube.core.connect_get_namespaced_pod_proxy_with_path(name, kube.namespace, "a/b", _preload_content=False)
        assert json.loads(body.data)["POD_NAME"] == "db-1"
    path = f"/api/v1/namespaces/{kube.namespace}/pods/db-1/proxy/a%20b/?q=x%2Fy"
    assert json.loads(kube.request("GET", path).body)["path"] == "/a%20b/?q=x%2Fy"
    posted = kube.request("POST", path, b'{"k": 1}', X_Test="passed")
    assert (posted.code, posted.body) == (201, b'passed|{"k": 1}')
    service = kube.core.connect_get_namespaced_service_proxy_with_path("db:http", kube.namespace, "x", _preload_content=False)
    assert json.loads(service.data)["path"] == "/x"


def test_pod_proxy_says_503_when_the_port_is_closed(kube: Kube) -> None:
    call = kube.core.connect_get_namespaced_pod_proxy
    refused(503, "ServiceUnavailable", call, f"db-1:{kube_harness.free_port()}", kube.namespace)
    refused(404, "NotFound", call, "db-9", kube.namespace)
    refused(503, "ServiceUnavailable", kube.core.connect_get_namespaced_service_proxy, "void:http", kube.namespace)


def test_pod_proxy_resolves_no_name_of_a_port(kube: Kube) -> None:
    path = f"/api/v1/namespaces/{kube.namespace}/pods/db-1:http/proxy/"
    assert "rror" in kube.kubectl("get", "--raw", path, code=1)


def test_a_container_that_ends_is_restarted_and_counted(kube: Kube) -> None:
    before = kube.make_pod("ending")
    kube.request("GET", kube.pod_path("ending", "exit", code="3"))

    def restarted() -> Any:
        status = kube.pod("ending").status.container_statuses[0]
        return status if status.restart_count == 1 and status.ready else None

    status = wait_for(restarted)
    ended = status.last_state.terminated
    assert (ended.exit_code, ended.reason) == (3, "Error")
    assert kube.pod("ending").metadata.uid == before.metadata.uid
    read = kube.core.read_namespaced_pod_log
    assert "/exit" in read("ending", kube.namespace, previous=True)
    assert "/exit" not in read("ending", kube.namespace)
    kube.drop_pod("ending")


def test_graceful_deletion_shows_and_ends_by_force(kube: Kube) -> None:
    kube.make_pod("stubborn", "--stubborn")
    started_s = time.monotonic()
    answer = kube.core.delete_namespaced_pod("stubborn", kube.namespace)
    assert answer.metadata.deletion_grace_period_seconds == 1
    assert kube.pod("stubborn").metadata.deletion_timestamp is not None
    wait_for(lambda: kube.gone("stubborn"))
    assert time.monotonic() - started_s > 0.9


def test_grace_zero_takes_the_object_away_at_once(kube: Kube) -> None:
    kube.make_pod("brief", "--stubborn")
    kube.core.delete_namespaced_pod("brief", kube.namespace, grace_period_seconds=0)
    assert kube.gone("brief")


def test_a_pod_is_deleted_only_if_it_is_the_one_that_is_meant(kube: Kube) -> None:
    delete = kube.core.delete_namespaced_pod
    pod = kube.make_pod("meant")
    refused(409, "Conflict", delete, "meant", kube.namespace, body={"preconditions": {"uid": "another"}})
    stale = {"preconditions": {"resourceVersion": "1"}}
    refused(409, "Conflict", delete, "meant", kube.namespace, body=stale)
    assert delete("meant", kube.namespace, dry_run="All").metadata.uid == pod.metadata.uid
    assert not kube.gone("meant")
    delete("meant", kube.namespace, body={"preconditions": {"uid": pod.metadata.uid}, "gracePeriodSeconds": 0})
    assert kube.gone("meant")


def test_a_failing_liveness_probe_restarts_the_container(kube: Kube) -> None:
    liveness = {"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 1, "failureThreshold": 2}
    kube.make_pod("sick", livenessProbe=liveness)
    assert kube.request("GET", kube.pod_path("sick", "break")).code == 503
    wait_for(lambda: kube.pod("sick").status.container_statuses[0].restart_count == 1)
    kube.settle("sick", 1)
    assert {"Unhealthy", "Killing"} <= reasons(kube, "sick")
    kube.drop_pod("sick")


def test_a_command_that_fails_backs_off(kube: Kube) -> None:
    body = kube.backend.maker.shell("broken", "echo oh no; exit 3", terminationGracePeriodSeconds=1)
    kube.core.create_namespaced_pod(kube.namespace, body)

    def waiting() -> Any:
        [status] = kube.pod("broken").status.container_statuses or [None]
        return status and status.state.waiting and status.state.waiting.reason == "CrashLoopBackOff" and status

    status = wait_for(waiting)
    assert (status.restart_count, status.last_state.terminated.exit_code) == (1, 3)
    assert "oh no" in kube.core.read_namespaced_pod_log("broken", kube.namespace)
    kube.drop_pod("broken")


def test_init_containers_run_first_and_a_pod_that_need_not_restart_completes(kube: Kube) -> None:
    body = kube.backend.maker.shell("once", "echo main", restartPolicy="Never")
    main = body["spec"]["containers"][0]
    body["spec"]["initContainers"] = [{**main, "name": "first", "command": ["/bin/sh", "-c", "echo prepared"]}]
    kube.core.create_namespaced_pod(kube.namespace, body)
    wait_for(lambda: kube.pod("once").status.phase == "Succeeded")
    status = kube.pod("once").status
    first, ran = status.init_container_statuses[0].state.terminated, status.container_statuses[0].state.terminated
    assert (first.exit_code, ran.exit_code, ran.reason) == (0, 0, "Completed")
    assert first.finished_at <= ran.started_at
    for container, said in (("first", "prepared\n"), ("main", "main\n")):
        assert kube.core.read_namespaced_pod_log("once", kube.namespace, container=container) == said
    kube.drop_pod("once")


def reasons(kube: Kube, pod: str) -> set[str]:
    found = kube.core.list_namespaced_event(kube.namespace, field_selector=f"involvedObject.name={pod}").items
    return {event.reason for event in found}


def test_events_of_one_pod(kube: Kube) -> None:
    pod = kube.pods("web")[0]
    selector = f"involvedObject.name={pod.metadata.name},involvedObject.uid={pod.metadata.uid}"
    found = kube.core.list_namespaced_event(kube.namespace, field_selector=selector).items
    assert {"Scheduled", "Pulled", "Created", "Started"} <= {event.reason for event in found}
    assert {event.involved_object.kind for event in found} == {"Pod"}
    assert not kube.core.list_namespaced_event(kube.namespace, field_selector="involvedObject.uid=another").items


def test_logs(kube: Kube) -> None:
    read = kube.core.read_namespaced_pod_log
    kube.ask_pod("db-0", "hello")
    lines = wait_for(lambda: [line for line in read("db-0", kube.namespace).splitlines() if "hello" in line])
    assert json.loads(lines[-1])["message"] == "/hello"
    assert len(read("db-0", kube.namespace, tail_lines=1).splitlines()) == 1
    assert read("db-0", kube.namespace, tail_lines=1, timestamps=True).split()[0].endswith("Z")
    assert "hello" in read("db-0", kube.namespace, since_seconds=60)
    assert read("db-0", kube.namespace, limit_bytes=7) == read("db-0", kube.namespace)[:7]
    refused(400, "BadRequest", read, "db-0", kube.namespace, container="other")
    refused(400, "BadRequest", read, "db-0", kube.namespace, previous=True)


def test_a_log_is_followed(kube: Kube) -> None:
    read = kube.core.read_namespaced_pod_log
    kube.ask_pod("db-0", "begun")
    wait_for(lambda: "begun" in read("db-0", kube.namespace, tail_lines=1))
    stream = watch.Watch().stream(read, name="db-0", namespace=kube.namespace, follow=True, tail_lines=1, _request_timeout=20)
    assert "begun" in next(stream)
    kube.ask_pod("db-0", "followed")
    assert "followed" in next(stream)
    stream.close()


def test_a_service_is_reached_inside_the_cluster(kube: Kube) -> None:
    names = {pod.metadata.name for pod in kube.pods("web")}
    wait_for(lambda: {kube.call_service("web") for _ in range(8)} == names)
