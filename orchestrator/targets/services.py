"""Services of one namespace: read, patched, made and deleted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.errors import TargetError
from orchestrator.targets.kube import KubeWriter
from probes.target import Kubernetes

OWNER = "chaos.media-gateway/run"
MANAGED = {"app.kubernetes.io/managed-by": "chaos-orchestrator"}
NO_ADDRESS = "None"


@dataclass(frozen=True, slots=True)
class Service:
    """A Service as the API server shows it. `ports` are the API's own objects; `owner` is the run that made it, if one did."""

    name: str
    version: str
    cluster_ip: str
    selector: dict[str, str]
    ports: list[dict[str, Any]]
    owner: str

    @property
    def targets(self) -> list[int | str]:
        """Target port of each port; the API server fills in what was left out."""
        return [port.get("targetPort", port["port"]) for port in self.ports]


class ServiceClient:
    """Every call raises TargetError within its time-out."""

    def __init__(self, target: Kubernetes) -> None:
        self._writer = KubeWriter(target)
        self._namespace = target.namespace
        self._path = f"/api/v1/namespaces/{target.namespace}/services"
        self._slices = f"/apis/discovery.k8s.io/v1/namespaces/{target.namespace}/endpointslices"

    def close(self) -> None:
        self._writer.close()

    async def read(self, name: str) -> Service | None:
        """None when there is none."""
        status, document = await self._writer.call("GET", f"{self._path}/{name}")
        if status == 404:
            return None
        _expect(f"read Service {name}", status, document, 200)
        return _service(document)

    async def patch(self, name: str, change: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> None:
        """A merge patch, or a list of operations as a JSON patch, of which a failed test changes nothing."""
        status, document = await self._writer.call("PATCH", f"{self._path}/{name}", change)
        _expect(f"patch Service {name}", status, document, 200)

    async def create(self, name: str, *, owner: str, selector: Mapping[str, str], ports: Sequence[Mapping[str, Any]]) -> Service:
        """A Service with an address inside the cluster. One of this name that is there already is a TargetError."""
        body = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name, "namespace": self._namespace, "labels": MANAGED | {OWNER: owner}},
            "spec": {"type": "ClusterIP", "selector": selector, "ports": ports},
        }
        status, document = await self._writer.call("POST", self._path, body)
        _expect(f"make Service {name}", status, document, 201)
        return _service(document)

    async def delete(self, name: str) -> None:
        """One that is not there is fine."""
        status, document = await self._writer.call("DELETE", f"{self._path}/{name}")
        if status != 404:
            _expect(f"delete Service {name}", status, document, 200)

    async def ready_addresses(self, name: str) -> set[str]:
        """Addresses of the ready endpoints behind a Service, by its EndpointSlices."""
        status, document = await self._writer.call("GET", f"{self._slices}?labelSelector=kubernetes.io%2Fservice-name%3D{name}")
        _expect(f"list the EndpointSlices of {name}", status, document, 200)
        ends = [end for one in document.get("items") or () for end in one.get("endpoints") or ()]
        # Not known counts as ready, says the API.
        return {address for end in ends if (end.get("conditions") or {}).get("ready") is not False for address in end["addresses"]}


def _expect(what: str, status: int, document: Mapping[str, Any], fine: int) -> None:
    if status != fine:
        raise TargetError(f"{what}: the API server answered {status} {document.get('message', '')}".rstrip())


def _service(document: Mapping[str, Any]) -> Service:
    try:
        metadata, spec = document["metadata"], document["spec"]
        return Service(
            name=str(metadata["name"]),
            version=str(metadata["resourceVersion"]),
            cluster_ip=str(spec.get("clusterIP") or ""),
            selector=dict(spec.get("selector") or {}),
            ports=list(spec.get("ports") or ()),
            owner=str((metadata.get("labels") or {}).get(OWNER, "")),
        )
    except (KeyError, TypeError) as error:
        raise TargetError(f"the API server answered {str(document)[:100]}, which is no Service") from error
