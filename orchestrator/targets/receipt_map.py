"""A ConfigMap of the namespace with the open receipts of one run: what is left if its machine is gone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from orchestrator.errors import TargetError
from orchestrator.faults.permissions import MIRROR_NAME as NAME
from orchestrator.targets.kube import KubeWriter
from probes.target import Kubernetes

MANAGED_BY, OURS = "app.kubernetes.io/managed-by", "chaos-orchestrator"
RUN = "chaos.media-gateway/run"
"""The owner's mark: the run that wrote it."""
KEY = "receipts.json"
MOST_BYTES = 960 * 1024
"""Source: Kubernetes, Concepts, ConfigMaps: its data cannot exceed 1 MiB. The rest is for its key. A receipt has a few hundred bytes."""


@dataclass(frozen=True, slots=True)
class MapState:
    """The ConfigMap as the API server shows it: whose it is, what it says, and a version that changes with every write."""

    run: str
    text: str
    version: str


class ReceiptMap:
    """The one such ConfigMap of a namespace. Every call raises TargetError within its time-out."""

    def __init__(self, target: Kubernetes) -> None:
        self._writer = KubeWriter(target)
        self._namespace = target.namespace
        self._path = f"/api/v1/namespaces/{target.namespace}/configmaps"

    @property
    def place(self) -> str:
        """Where it is, for people."""
        return f"configmap {NAME} in namespace {self._namespace}"

    def close(self) -> None:
        self._writer.close()

    async def read(self) -> MapState | None:
        """None when there is none. One of this name without our mark is an error: nobody of us wrote it."""
        status, document = await self._writer.call("GET", f"{self._path}/{NAME}")
        if status == 404:
            return None
        self._expect(status, document, "read", (200,))
        return self._state(document)

    async def write(self, run: str, text: str, seen: MapState | None) -> None:
        """Make it say `text` for this run, if it is still as it was seen. A text that is too long is an error."""
        size = len(text.encode())
        if size > MOST_BYTES:
            raise TargetError(f"the open receipts have {size} bytes, {self.place} may hold {MOST_BYTES}: plan fewer faults at a time")
        metadata: dict[str, Any] = {"name": NAME, "namespace": self._namespace, "labels": {MANAGED_BY: OURS, RUN: run}}
        if seen is not None:
            metadata["resourceVersion"] = seen.version
        method, path = ("POST", self._path) if seen is None else ("PUT", f"{self._path}/{NAME}")
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {KEY: text}}
        status, document = await self._writer.call(method, path, body)
        self._expect(status, document, "write", (200, 201))

    async def delete(self, seen: MapState) -> None:
        """Remove it, if it is still as it was seen or gone already."""
        body = {"preconditions": {"resourceVersion": seen.version}}
        status, document = await self._writer.call("DELETE", f"{self._path}/{NAME}", body)
        self._expect(status, document, "delete", (200, 202, 404))

    def _expect(self, status: int, document: dict[str, Any], what: str, fine: tuple[int, ...]) -> None:
        if status not in fine:
            raise TargetError(f"{what} {self.place}: the API server answered {status} {document.get('message', '')}".rstrip())

    def _state(self, document: dict[str, Any]) -> MapState:
        metadata = document.get("metadata") or {}
        labels = metadata.get("labels") or {}
        if labels.get(MANAGED_BY) != OURS or RUN not in labels:
            raise TargetError(f"{self.place} has not our mark ({MANAGED_BY}={OURS}, {RUN}): rename it or remove it, it is not ours")
        return MapState(str(labels[RUN]), str((document.get("data") or {}).get(KEY, "")), str(metadata.get("resourceVersion", "")))
