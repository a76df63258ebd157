"""How far the workloads of a namespace are."""

from collections.abc import Iterator
from dataclasses import dataclass

from sandbox.kube.objects import Object, name_of, namespace_of
from sandbox.kube.resources import DEPLOYMENTS, ENDPOINT_SLICES, SERVICES, STATEFUL_SETS
from sandbox.kube.store import Store

WATCHED = (DEPLOYMENTS, STATEFUL_SETS, ENDPOINT_SLICES)


@dataclass(frozen=True, slots=True)
class Readiness:
    """Counts over all Deployments and StatefulSets; `waiting` names what is not ready, such as 'sync-service 1/2'."""

    ready: int
    desired: int
    waiting: tuple[str, ...]


def workload_readiness(store: Store, namespace: str) -> Readiness:
    """A workload is ready when its status speaks of its present spec and all replicas are updated and ready."""
    ready = desired = 0
    waiting = []
    for resource in (DEPLOYMENTS, STATEFUL_SETS):
        for workload in store.list(resource.key, namespace):
            wanted, have = workload["spec"]["replicas"], _ready_replicas(workload)
            ready, desired = ready + min(have, wanted), desired + wanted
            if have != wanted:
                waiting.append(f"{name_of(workload)} {have}/{wanted}")
    return Readiness(ready, desired, tuple(waiting))


def _ready_replicas(workload: Object) -> int:
    status = workload["status"]
    if status.get("observedGeneration") != workload["metadata"]["generation"]:
        return 0
    return min(int(status.get("readyReplicas", 0)), int(status.get("updatedReplicas", 0)))


def expected_listeners(store: Store, namespace: str) -> dict[str, str]:
    """'ADDRESS:PORT' to Service name, for every Service that has a ready endpoint and so should accept connections."""
    return dict(_expected(store, namespace))


def _expected(store: Store, namespace: str) -> Iterator[tuple[str, str]]:
    for entry in store.list(ENDPOINT_SLICES.key, namespace):
        owner = entry["metadata"]["labels"]["kubernetes.io/service-name"]
        service = store.get(SERVICES.key, namespace_of(entry), owner)
        if service is None or service["spec"]["clusterIP"] == "None":
            continue
        if any(endpoint["conditions"]["ready"] for endpoint in entry["endpoints"] or ()):
            resolved = {port["name"] for port in entry["ports"]}
            for port in service["spec"].get("ports", ()):
                if port.get("name", "") in resolved:
                    yield f"{service['spec']['clusterIP']}:{port['port']}", owner
