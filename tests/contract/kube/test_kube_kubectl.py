"""kubectl, unmodified, works against the sandbox's API."""

import json

from kube_clients import Kube
from kube_objects import NAMESPACE


def test_version_and_discovery(kube: Kube) -> None:
    assert "Server Version" in kube.cluster.kubectl("version")
    listed = kube.cluster.kubectl("api-resources", "-o", "name").split()
    assert {"pods", "deployments.apps", "leases.coordination.k8s.io", "endpointslices.discovery.k8s.io"} <= set(listed)


def test_get(kube: Kube) -> None:
    kubectl = kube.cluster.kubectl
    header, *rows = kubectl("get", "pods").splitlines()
    assert header.split() == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert sum("Running" in row for row in rows) == 5
    wide = kubectl("get", "pods", "-l", "app=db", "-o", "wide")
    assert all(pod.status.pod_ip in wide for pod in kube.pods("db"))
    document = json.loads(kubectl("get", "deploy", "web", "-o", "json"))
    assert document["status"]["readyReplicas"] == 2
    everything = kubectl("get", "all")
    assert "deployment.apps/web" in everything
    assert "statefulset.apps/db" in everything
    assert "service/web" in everything
    for kinds in ("nodes", "events", "endpointslices,endpoints", "ns", "rs"):
        assert "AGE" in kubectl("get", kinds) or kinds == "events"


def test_describe(kube: Kube) -> None:
    kubectl = kube.cluster.kubectl
    pod = kubectl("describe", "pod", "db-0")
    assert "Controlled By:  StatefulSet/db" in pod
    assert "Started container main" in pod
    deployment = kubectl("describe", "deployment", "web")
    assert "2 desired | 2 updated | 2 total | 2 available | 0 unavailable" in deployment
    assert "ScalingReplicaSet" in deployment
    assert "Endpoints" in kubectl("describe", "service", "web")
    assert "MemoryPressure" in kubectl("describe", "node", "sandbox-node-1")


def test_logs(kube: Kube) -> None:
    assert '"message": "started"' in kube.cluster.kubectl("logs", "db-1", "--tail=1000")


def test_delete_scale_and_wait(kube: Kube) -> None:
    kubectl = kube.cluster.kubectl
    name = kube.pods("web")[0].metadata.name
    assert "force deleted" in kubectl("delete", "pod", name, "--grace-period=0", "--force")
    kubectl("wait", "--for=condition=Ready", "pod", "-l", "app=web", "--timeout=10s")
    assert "scaled" in kubectl("scale", "deploy/web", "--replicas=3")
    kubectl("rollout", "status", "deploy/web", "--timeout=10s")
    assert len(kube.ready_pods("web")) == 3
    kubectl("delete", "pod", "db-2", "--wait=true", "--timeout=10s")
    kubectl("wait", "--for=jsonpath={.status.readyReplicas}=3", "sts/db", "--timeout=10s")


def test_apply_and_refusals(kube: Kube) -> None:
    kubectl, path = kube.cluster.kubectl, kube.cluster.state_dir / "applied.yaml"
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: applied}\ndata: {a: one}\n"
    path.write_text(text)
    assert "created" in kubectl("apply", "-f", str(path))
    assert "unchanged" in kubectl("apply", "-f", str(path))
    path.write_text(text.replace("one", "two"))
    assert "configured" in kubectl("apply", "-f", str(path))
    assert kubectl("get", "cm", "applied", "-o", "jsonpath={.data.a}") == "two"
    kubectl("label", "cm", "applied", "colour=red")
    assert "red" in kubectl("get", "cm", "-l", "colour=red", "-L", "colour")
    kubectl("delete", "-f", str(path))
    assert 'pods "nothing" not found' in kubectl("get", "pod", "nothing", code=1)
    assert "kubectl apply -f" in kubectl("create", "configmap", "x", "--from-literal=a=b", code=1)
    assert f'"{NAMESPACE}"' not in kubectl("get", "ns", NAMESPACE)
