"""chaostoolkit-kubernetes, unmodified, works against the sandbox's API."""

import kube_harness
import pytest
from chaosk8s.deployment.actions import scale_deployment
from chaosk8s.deployment.probes import deployment_available_and_healthy
from chaosk8s.pod.actions import terminate_pods
from chaosk8s.pod.probes import count_pods, pods_in_phase, read_pod_logs
from kube_clients import Kube
from kube_objects import NAMESPACE


@pytest.fixture(autouse=True)
def connection(kube: Kube, monkeypatch: pytest.MonkeyPatch) -> None:
    """chaosk8s in host mode: address and token from the environment."""
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("KUBERNETES_HOST", kube.cluster.facts["api_url"])
    monkeypatch.setenv("KUBERNETES_API_KEY", kube.cluster.facts["token"])
    monkeypatch.setenv("KUBERNETES_API_KEY_PREFIX", "Bearer")
    monkeypatch.setenv("KUBERNETES_VERIFY_SSL", "1")
    monkeypatch.setenv("KUBERNETES_CA_CERT_FILE", str(kube.cluster.state_dir / "ca.pem"))
    monkeypatch.setenv("HOME", str(kube.cluster.state_dir))


def test_terminate_pods(kube: Kube) -> None:
    before = {pod.metadata.name for pod in kube.pods("web")}
    killed = terminate_pods(label_selector="app=web", ns=NAMESPACE, qty=1, grace_period=0)
    assert len(killed) == 1
    after = {pod.metadata.name for pod in kube.settle("web", 2)}
    assert before - after == set(killed)


def test_scale_deployment(kube: Kube) -> None:
    scale_deployment(name="web", replicas=1, ns=NAMESPACE)
    kube.settle("web", 1)
    assert deployment_available_and_healthy(name="web", ns=NAMESPACE) is True


def test_probes(kube: Kube) -> None:
    assert count_pods(label_selector="app=db", phase="Running", ns=NAMESPACE) == 3
    assert pods_in_phase(label_selector="app=db", phase="Running", ns=NAMESPACE) is True
    kube_harness.wait_for(lambda: "started" in read_pod_logs(label_selector="app=db", last="10m", ns=NAMESPACE)["db-0"])
