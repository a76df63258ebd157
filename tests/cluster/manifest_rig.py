"""The manifests as they are sent to a real cluster, in namespaces of the test's own, and who our identities are there."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import yaml
from cluster_rig import KUBECTL, ROOT, Document, kubectl

from probes.target import Kubernetes

OVERLAYS = ROOT / "manifests" / "overlays"
PLATFORM, ORCHESTRATOR, LOAD = "media-gateway", "chaos-orchestrator", "chaos-load"
"""The namespaces of the manifests; a test moves them."""
WITHIN_S = 30.0


@dataclass(frozen=True, slots=True)
class Installed:
    """An overlay in a cluster. `platform` and `orchestrator` are the namespaces that it was moved to."""

    platform: str
    orchestrator: str
    folder: Path

    def kubectl(self, *arguments: str, given: str = "", fine: Iterable[int] = (0,)) -> str:
        """What kubectl says on stdout."""
        return kubectl(*arguments, given=given, fine=fine)

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
