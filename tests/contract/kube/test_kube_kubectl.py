"""kubectl, unmodified: what people type during and after a chaos run."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import kube_objects as objects
from kube_clients import Kube
from kube_harness import KUBECTL, free_port, wait_for


def test_version_and_discovery(kube: Kube) -> None:
    assert "Server Version" in kube.kubectl("version")
    listed = kube.kubectl("api-resources", "-o", "name").split()
    assert {"pods", "deployments.apps", "leases.coordination.k8s.io", "endpointslices.discovery.k8s.io"} <= set(listed)


def test_get(kube: Kube) -> None:
    header, *rows = kube.kubectl("get", "pods", "-l", "app in (web, db)").splitlines()
    assert header.split() == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert sum("Running" in row for row in rows) == 5
    wide = kube.kubectl("get", "pods", "-l", "app=db", "-o", "wide")
    assert all(pod.status.pod_ip in wide and pod.spec.node_name in wide for pod in kube.pods("db"))
    document = json.loads(kube.kubectl("get", "deploy", "web", "-o", "json"))
    assert document["status"]["readyReplicas"] == 2
    everything = kube.kubectl("get", "all")
    assert {"deployment.apps/web", "statefulset.apps/db", "service/web"} <= set(everything.split())
    for kinds in ("nodes", "endpointslices,endpoints", "ns", "rs", "sa", "deploy,sts,svc"):
        assert "AGE" in kube.kubectl("get", kinds)
    assert "LAST SEEN" in kube.kubectl("get", "events")
    assert kube.kubectl("get", "pods", "--field-selector", "status.phase=Pending").strip() == ""
    assert 'pods "nothing" not found' in kube.kubectl("get", "pod", "nothing", code=1)


@contextmanager
def running(kube: Kube, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """kubectl that goes on until the block ends."""
    command = [str(KUBECTL), "--kubeconfig", str(kube.backend.kubeconfig), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.terminate()


def test_get_watches(kube: Kube) -> None:
    with running(kube, "get", "cm", "-w", "-l", "kind=watched", "--request-timeout=20s", "--no-headers") as process:
        assert process.stdout is not None
        kube.core.create_namespaced_config_map(kube.namespace, objects.config_map("watched", kind="watched"))
        assert process.stdout.readline().split()[:2] == ["watched", "1"]
        kube.kubectl("delete", "cm", "watched")
        assert process.stdout.readline().split()[0] == "watched"


def test_describe(kube: Kube) -> None:
    pod = kube.kubectl("describe", "pod", "db-0")
    assert "Controlled By:  StatefulSet/db" in pod
    deployment = kube.kubectl("describe", "deployment", "web")
    assert "2 desired | 2 updated | 2 total | 2 available | 0 unavailable" in deployment
    assert "ScalingReplicaSet" in deployment
    assert "Endpoints" in kube.kubectl("describe", "service", "web")
    assert "MemoryPressure" in kube.kubectl("describe", "node", kube.pod("db-0").spec.node_name)


def test_events(kube: Kube) -> None:
    kube.make_pod("eventful")
    said = wait_for(lambda: "Started" in (text := kube.kubectl("events", "--for", "pod/eventful")) and text)
    assert {"Scheduled", "Created", "Started"} <= {word for line in said.splitlines() for word in line.split()}
    assert "Started container main" in " ".join(kube.kubectl("describe", "pod", "eventful").split()) or "Container started" in said
    kube.drop_pod("eventful")


def test_logs_and_following_them(kube: Kube) -> None:
    kube.ask_pod("db-1", "told")
    wait_for(lambda: "/told" in kube.kubectl("logs", "db-1", "--tail=1"))
    with running(kube, "logs", "-f", "db-1", "--tail=1") as process:
        assert process.stdout is not None
        assert "/told" in process.stdout.readline()
        kube.ask_pod("db-1", "told-again")
        assert "/told-again" in process.stdout.readline()
    assert "previous terminated container" in kube.kubectl("logs", "db-1", "--previous", code=1)


def test_delete_scale_and_wait(kube: Kube) -> None:
    name = kube.pods("web")[0].metadata.name
    assert "force deleted" in kube.kubectl("delete", "pod", name, "--grace-period=0", "--force")
    kube.settle("web", 2)
    kube.kubectl("wait", "--for=condition=Ready", "pod", "-l", "app=web", "--timeout=90s")
    assert "scaled" in kube.kubectl("scale", "deploy/web", "--replicas=3")
    kube.kubectl("rollout", "status", "deploy/web", "--timeout=90s")
    assert len(kube.ready_pods("web")) == 3
    kube.kubectl("delete", "pod", "db-2", "--wait=true", "--timeout=90s")
    kube.kubectl("wait", "--for=jsonpath={.status.readyReplicas}=3", "sts/db", "--timeout=90s")
    assert "timed out" in kube.kubectl("wait", "--for=condition=Ready=false", "pod/db-0", "--timeout=1s", code=1)


def manifest(folder: Path, value: str) -> str:
    path = folder / "applied.yaml"
    path.write_text(f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: applied}}\ndata: {{a: {value}}}\n", encoding="utf-8")
    return str(path)


def test_apply_diff_label_patch(kube: Kube, tmp_path: Path) -> None:
    assert "created" in kube.kubectl("apply", "-f", manifest(tmp_path, "one"))
    assert "unchanged" in kube.kubectl("apply", "-f", manifest(tmp_path, "one"))
    difference = kube.kubectl("diff", "-f", manifest(tmp_path, "two"), code=1)
    assert "-  a: one" in difference
    assert "+  a: two" in difference
    assert "configured" in kube.kubectl("apply", "-f", manifest(tmp_path, "two"))
    assert kube.kubectl("diff", "-f", manifest(tmp_path, "two")) == ""
    assert kube.kubectl("get", "cm", "applied", "-o", "jsonpath={.data.a}") == "two"
    kube.kubectl("label", "cm", "applied", "colour=red")
    assert "red" in kube.kubectl("get", "cm", "-l", "colour=red", "-L", "colour")
    kube.kubectl("patch", "cm", "applied", "--type=merge", "-p", '{"data": {"a": "three"}}')
    kube.kubectl("patch", "cm", "applied", "--type=json", "-p", '[{"op": "add", "path": "/data/b", "value": "x"}]')
    assert json.loads(kube.kubectl("get", "cm", "applied", "-o", "json"))["data"] == {"a": "three", "b": "x"}
    kube.kubectl("delete", "-f", manifest(tmp_path, "two"))


def test_apply_on_the_server(kube: Kube, tmp_path: Path) -> None:
    assert "serverside-applied" in kube.kubectl("apply", "--server-side", "-f", manifest(tmp_path, "one"))
    assert "serverside-applied" in kube.kubectl("apply", "--server-side", "-f", manifest(tmp_path, "two"))
    assert kube.kubectl("get", "cm", "applied", "-o", "jsonpath={.data.a}") == "two"
    kube.kubectl("delete", "-f", manifest(tmp_path, "two"))


def test_rollout_restart_and_undo(kube: Kube) -> None:
    template = kube.backend.maker.template("undone", free_port())
    kube.apps.create_namespaced_deployment(kube.namespace, objects.workload("Deployment", "undone", 1, template))
    kube.kubectl("rollout", "status", "deploy/undone", "--timeout=90s")
    kube.kubectl("set", "env", "deploy/undone", "SETTING=changed")
    kube.kubectl("rollout", "status", "deploy/undone", "--timeout=90s")
    changed = [pod.metadata.name for pod in kube.settle("undone", 1)]
    assert kube.ask_pod(changed[0])["SETTING"] == "changed"
    kube.kubectl("rollout", "undo", "deploy/undone")
    kube.kubectl("rollout", "status", "deploy/undone", "--timeout=90s")
    [back] = kube.settle("undone", 1)
    assert kube.ask_pod(back.metadata.name)["SETTING"].startswith("on ")
    kube.kubectl("rollout", "restart", "deploy/undone")
    kube.kubectl("rollout", "status", "deploy/undone", "--timeout=90s")
    assert kube.settle("undone", 1)[0].metadata.name != back.metadata.name
    # The first template came back as the third revision.
    history = kube.kubectl("rollout", "history", "deploy/undone").splitlines()
    assert [line.split()[0] for line in history if line[:1].isdigit()] == ["2", "3", "4"]
    kube.kubectl("delete", "deploy", "undone")


def test_a_stateful_set_is_undone(kube: Kube) -> None:
    template = kube.backend.maker.template("set", free_port())
    body = objects.workload("StatefulSet", "set", 1, template, serviceName="set")
    kube.apps.create_namespaced_stateful_set(kube.namespace, body)
    kube.kubectl("rollout", "status", "sts/set", "--timeout=90s")
    kube.kubectl("set", "env", "sts/set", "SETTING=changed")
    kube.kubectl("rollout", "status", "sts/set", "--timeout=90s")
    assert kube.ask_pod("set-0")["SETTING"] == "changed"
    kube.kubectl("rollout", "undo", "sts/set")
    kube.kubectl("rollout", "status", "sts/set", "--timeout=90s")
    assert kube.ask_pod("set-0")["SETTING"].startswith("on ")
    assert {"2", "3"} <= set(kube.kubectl("rollout", "history", "sts/set").split())
    assert len(kube.kubectl("get", "controllerrevisions", "-l", "app=set", "-o", "name").split()) == 2
    kube.kubectl("delete", "sts", "set")


def test_cordon_and_a_drain_of_our_pods(kube: Kube) -> None:
    node = kube.pods("web")[0].spec.node_name
    there = {pod.metadata.name for pod in kube.pods("web") if pod.spec.node_name == node}
    try:
        assert "cordoned" in kube.kubectl("cordon", node)
        assert "SchedulingDisabled" in kube.kubectl("get", "node", node)
        ours = f"app=web,suite={kube.namespace}"
        for pod in kube.pods("web"):
            kube.kubectl("label", "pod", pod.metadata.name, f"suite={kube.namespace}")
        assert "drained" in kube.kubectl("drain", node, "--pod-selector", ours, "--ignore-daemonsets", "--timeout=90s")
    finally:
        kube.kubectl("uncordon", node)
    assert not there & {pod.metadata.name for pod in kube.settle("web", 2)}


def test_a_drain_waits_in_vain_where_a_budget_refuses(kube: Kube, tmp_path: Path) -> None:
    budget = tmp_path / "budget.json"
    budget.write_text(json.dumps(objects.budget("web", least=2)))
    node = kube.pods("web")[0].spec.node_name
    there = {pod.metadata.name for pod in kube.pods("web")}
    ours = f"app=web,suite={kube.namespace}"
    try:
        kube.kubectl("apply", "-f", str(budget))
        wait_for(lambda: kube.kubectl("get", "pdb", "web", "-o", "jsonpath={.status.expectedPods}/{.status.disruptionsAllowed}") == "2/0")
        for name in there:
            kube.kubectl("label", "pod", name, f"suite={kube.namespace}", "--overwrite")
        said = kube.kubectl("drain", node, "--pod-selector", ours, "--ignore-daemonsets", "--timeout=4s", code=1)
        assert "Cannot evict pod as it would violate the pod's disruption budget." in said
        assert {pod.metadata.name for pod in kube.pods("web")} == there
    finally:
        kube.kubectl("uncordon", node)
        kube.kubectl("delete", "pdb", "web")


def test_create_by_words(kube: Kube) -> None:
    """These are sent as protobuf."""
    kube.kubectl("create", "configmap", "worded", "--from-literal=a=1")
    assert kube.kubectl("get", "cm", "worded", "-o", "jsonpath={.data.a}") == "1"
    assert "created" in kube.kubectl("create", "serviceaccount", "worded")
    kube.kubectl("delete", "cm/worded", "sa/worded")
    space = f"{kube.namespace}-worded"
    assert "created" in kube.kubectl("create", "namespace", space)
    kube.kubectl("delete", "namespace", space, "--timeout=90s")


def test_auth_can_i(kube: Kube) -> None:
    assert kube.kubectl("auth", "can-i", "delete", "pods").strip() == "yes"
