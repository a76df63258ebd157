"""The manifests as they are sent to a real cluster, in namespaces of the test's own, and who our identities are there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from probes.target import Kubernetes

ROOT = Path(__file__).parents[2]
OVERLAYS = ROOT / "manifests" / "overlays"
KUBECTL = Path(sys.executable).parent / "kubectl"
PLATFORM, ORCHESTRATOR = "media-gateway", "chaos-orchestrator"
"""The namespaces of the manifests; a test moves both."""
IMAGES = os.environ.get("CLUSTER_IMAGE_PREFIX", "docker.io/library/")
WITHIN_S = 30.0
Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Installed:
    """An overlay in a cluster. `platform` and `orchestrator` are the namespaces that it was moved to."""

    kubeconfig: str
    platform: str
    orchestrator: str
    folder: Path

    def kubectl(self, *arguments: str, given: str = "", fine: Iterable[int] = (0,)) -> str:
        """What kubectl says on stdout."""
        done = subprocess.run(
            [str(KUBECTL), "--kubeconfig", self.kubeconfig, *arguments],
            input=given,
            capture_output=True,
            text=True,
            timeout=2 * WITHIN_S,
            check=False,
        )
        assert done.returncode in fine, done.stderr
        return done.stdout

    def identity(self, account: str, *, namespace: str = "") -> Kubernetes:
        """A context for the platform's namespace (or another) with a fresh token of this ServiceAccount and nothing else."""
        token = self.kubectl("-n", self.orchestrator, "create", "token", account).strip()
        (cluster,) = json.loads(self.kubectl("config", "view", "--raw", "--minify", "-o", "json"))["clusters"]
        path = self.folder / f"{account}.kubeconfig"
        contexts = [{"name": account, "context": {"cluster": cluster["name"], "user": account}}]
        users = [{"name": account, "user": {"token": token}}]
        document = {"apiVersion": "v1", "kind": "Config", "clusters": [cluster], "users": users, "contexts": contexts}
        path.write_text(yaml.safe_dump(document | {"current-context": account}), encoding="utf-8")
        return Kubernetes(kubeconfig=path, context=account, namespace=namespace or self.platform)


def rendered(overlay: str) -> list[Document]:
    """What `kubectl apply -k` would send."""
    done = subprocess.run(
        [str(KUBECTL), "kustomize", str(OVERLAYS / overlay)], capture_output=True, text=True, check=True, timeout=WITHIN_S
    )
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def moved(documents: list[Document], names: dict[str, str]) -> list[Document]:
    """The same in other namespaces."""
    for document in documents:
        metadata = document["metadata"]
        if document["kind"] == "Namespace":
            metadata["name"] = names[metadata["name"]]
        else:
            metadata["namespace"] = names[metadata["namespace"]]
        for subject in document.get("subjects", ()):
            subject["namespace"] = names[subject["namespace"]]
    return documents


def environment_kubeconfig() -> str:
    """The cluster to test on; empty where there is none."""
    return os.environ.get("CLUSTER_KUBECONFIG", "")


def until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {WITHIN_S:g} s"
        time.sleep(0.1)
