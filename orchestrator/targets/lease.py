"""A Lease of the namespace: two runs never share a target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from orchestrator.errors import TargetError
from orchestrator.faults.permissions import LEASE_NAME as NAME
from orchestrator.targets.kube import KubeWriter
from probes.target import Kubernetes

MANAGED = {"app.kubernetes.io/managed-by": "chaos-orchestrator"}


@dataclass(frozen=True, slots=True)
class LeaseState:
    """The lease as the API server shows it. `version` changes with every write."""

    holder: str
    version: str


class LeaseClient:
    """The one Lease of a namespace. Every call raises TargetError within its time-out."""

    def __init__(self, target: Kubernetes) -> None:
        self._writer = KubeWriter(target)
        self._path = f"/apis/coordination.k8s.io/v1/namespaces/{target.namespace}/leases"
        self._namespace = target.namespace

    def close(self) -> None:
        self._writer.close()

    async def read(self) -> LeaseState | None:
        """None when there is none."""
        status, document = await self._writer.call("GET", f"{self._path}/{NAME}")
        if status == 404:
            return None
        _expect(status, document, "read", (200,))
        return _state(document)

    async def write(self, holder: str, seen: LeaseState | None, *, lasts_s: int, now: str) -> LeaseState | None:
        """Make it ours from `now` (RFC 3339) on, if it is still as it was seen. None when somebody else was first."""
        metadata: dict[str, Any] = {"name": NAME, "namespace": self._namespace, "labels": MANAGED}
        spec = {"holderIdentity": holder, "leaseDurationSeconds": lasts_s, "renewTime": now, "acquireTime": now}
        if seen is not None:
            metadata["resourceVersion"] = seen.version
        body = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}
        method, path = ("POST", self._path) if seen is None else ("PUT", f"{self._path}/{NAME}")
        status, document = await self._writer.call(method, path, body)
        if status in (404, 409):
            return None
        _expect(status, document, "write", (200, 201))
        return _state(document)

    async def delete(self, held: LeaseState) -> None:
        """Give it up, unless it is no longer as it was."""
        body = {"preconditions": {"resourceVersion": held.version}}
        status, document = await self._writer.call("DELETE", f"{self._path}/{NAME}", body)
        _expect(status, document, "delete", (200, 202, 404, 409))


def _expect(status: int, document: dict[str, Any], what: str, fine: tuple[int, ...]) -> None:
    if status not in fine:
        raise TargetError(f"{what} lease {NAME}: the API server answered {status} {document.get('message', '')}".rstrip())


def _state(document: dict[str, Any]) -> LeaseState:
    try:
        return LeaseState(str(document["spec"].get("holderIdentity") or ""), str(document["metadata"]["resourceVersion"]))
    except (KeyError, TypeError, AttributeError) as error:
        raise TargetError(f"the API server answered {str(document)[:100]}, which is not a lease") from error
