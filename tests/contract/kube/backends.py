"""The two clusters that the suite runs on. All in which they differ for a test stands here.

`CLUSTER_KUBECONFIG` names the kubeconfig of a real cluster, whose current context is used; without it, the sandbox's own API
server is started. On a real cluster everything is in a namespace that is made and deleted here, and the image is
`<CLUSTER_IMAGE_PREFIX>python:local` (python_image.py makes it). Nothing is assumed about nodes, addresses or networks.
"""

import json
import os
import secrets
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import kube_harness
import kube_objects as objects
import kubernetes
import pytest
from kube_harness import kubectl, wait_for
from kubernetes import client
from kubernetes.client.exceptions import ApiException

REAL = os.environ.get("CLUSTER_KUBECONFIG", "")
IMAGE_PREFIX = os.environ.get("CLUSTER_IMAGE_PREFIX", "docker.io/library/")
MAY_DRAIN = os.environ.get("CLUSTER_MAY_DRAIN", "") == "yes"
"""Whether a node of the real cluster may be emptied of everybody's pods."""
FIDELITY = Path(__file__).parents[3] / "docs" / "sandbox-fidelity.md"


class Backend(Protocol):
    """A cluster with a namespace for the suite."""

    kubeconfig: Path
    """The administrator's; its one context is `context`, and that names the namespace."""
    context: str
    namespace: str
    maker: objects.Maker

    def token(self) -> str:
        """A bearer token that may do everything in the namespace."""


@dataclass
class Sandbox:
    """The sandbox's API server, with the process that runs it."""

    running: kube_harness.RunningCluster
    context = "sandbox"
    namespace = "media-gateway"
    maker = objects.Maker(sys.executable, "sandbox.invalid/local-process:1")

    @property
    def kubeconfig(self) -> Path:
        return Path(self.running.kubeconfig)

    def token(self) -> str:
        return str(self.running.facts["token"])


@dataclass
class RealCluster:
    """A cluster that somebody else runs."""

    kubeconfig: Path
    namespace: str
    context = "contract"
    maker = objects.Maker("python3", f"{IMAGE_PREFIX}python:local")

    def token(self) -> str:
        """Of an account in the namespace that has the role `admin` there."""
        with kubernetes.config.new_client_from_config(config_file=str(self.kubeconfig)) as api:
            core = client.CoreV1Api(api)
            subject = {"kind": "ServiceAccount", "name": "admin", "namespace": self.namespace}
            role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin"}
            binding = {"metadata": {"name": "admin"}, "subjects": [subject], "roleRef": role}
            make(core.create_namespaced_service_account, self.namespace, {"metadata": {"name": "admin"}})
            make(client.RbacAuthorizationV1Api(api).create_namespaced_role_binding, self.namespace, binding)
            asked = {"spec": {"expirationSeconds": 3600}}
            return str(core.create_namespaced_service_account_token("admin", self.namespace, asked).status.token)


def make(create: Callable[..., Any], *arguments: Any) -> None:
    """Create what may be there already."""
    try:
        create(*arguments)
    except ApiException as error:
        if error.status != 409:
            raise


@contextmanager
def backend(folder: Path) -> Iterator[Backend]:
    """The cluster that the environment names, with the suite's namespace in it; takes away what it made."""
    with real_cluster(folder) if REAL else sandbox(folder) as chosen:
        yield chosen


@contextmanager
def sandbox(folder: Path) -> Iterator[Sandbox]:
    running = kube_harness.start(folder, [objects.namespace(Sandbox.namespace)])
    yield Sandbox(running)
    started_s = time.monotonic()
    assert running.stop() == 0
    assert time.monotonic() - started_s < 4


@contextmanager
def real_cluster(folder: Path) -> Iterator[RealCluster]:
    chosen = RealCluster(folder / "kubeconfig", f"chaos-contract-{secrets.token_hex(3)}")
    write_kubeconfig(chosen, json.loads(kubectl(Path(REAL), "config", "view", "--raw", "--flatten", "--minify", "-o", "json")))
    with kubernetes.config.new_client_from_config(config_file=str(chosen.kubeconfig)) as api:
        core = client.CoreV1Api(api)
        core.create_namespace(objects.namespace(chosen.namespace))
        try:
            wait_for(lambda: core.list_namespaced_service_account(chosen.namespace).items)
            yield chosen
        finally:
            core.delete_namespace(chosen.namespace)
            wait_for(lambda: chosen.namespace not in {space.metadata.name for space in core.list_namespace().items}, 120)


def write_kubeconfig(chosen: RealCluster, found: dict[str, Any]) -> None:
    """The one context of the user's kubeconfig, named and placed for the suite; only its owner can read it."""
    [context] = found["contexts"]
    context["name"] = found["current-context"] = chosen.context
    context["context"]["namespace"] = chosen.namespace
    chosen.kubeconfig.touch(mode=0o600)
    chosen.kubeconfig.write_text(json.dumps(found), encoding="utf-8")


def deviates(heading: str) -> pytest.MarkDecorator:
    """Skips a test on the sandbox for the reason that stands below this heading of docs/sandbox-fidelity.md."""
    assert f"### {heading}\n" in FIDELITY.read_text(encoding="utf-8"), f"{FIDELITY} has no heading {heading!r}"
    return pytest.mark.skipif(not REAL, reason=f"docs/sandbox-fidelity.md: {heading}")
