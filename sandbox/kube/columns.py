"""The columns of each kind's table."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from sandbox.kube.ages import age
from sandbox.kube.objects import Object, condition_true, field, is_deleting
from sandbox.kube.selectors import selector_text


@dataclass(frozen=True, slots=True)
class Column:
    """One column: `wide` ones are shown with `-o wide` only."""

    name: str
    value: Callable[[Object], Any]
    type: str = "string"
    wide: bool = False


def _at(path: str, default: Any = None) -> Callable[[Object], Any]:
    def read(obj: Object) -> Any:
        value = field(obj, path)
        return default if value is None else value

    return read


def _created(obj: Object) -> str:
    return age(obj["metadata"].get("creationTimestamp"))


def _statuses(pod: Object) -> list[Object]:
    return list(pod["status"].get("containerStatuses", ()))


def _pod_ready(pod: Object) -> str:
    return f"{sum(entry['ready'] for entry in _statuses(pod))}/{len(pod['spec']['containers'])}"


def _pod_status(pod: Object) -> str:
    if is_deleting(pod):
        return "Terminating"
    for entry in _statuses(pod):
        for kind in ("waiting", "terminated"):
            reason = entry["state"].get(kind, {}).get("reason")
            if reason and reason != "PodInitializing":
                return str(reason)
    return str(pod["status"].get("phase", "Unknown"))


def _pod_restarts(pod: Object) -> str:
    count = sum(entry["restartCount"] for entry in _statuses(pod))
    finished = [entry["lastState"].get("terminated", {}).get("finishedAt") for entry in _statuses(pod)]
    latest = max((instant for instant in finished if instant), default=None)
    return f"{count} ({age(latest)} ago)" if count and latest else str(count)


def _containers(obj: Object) -> list[Object]:
    return list(obj["spec"]["template"]["spec"].get("containers", ()))


def _joined(items: Iterable[Any]) -> str:
    return ",".join(str(item) for item in items)


def _container_names(obj: Object) -> str:
    return _joined(container["name"] for container in _containers(obj))


def _images(obj: Object) -> str:
    return _joined(container["image"] for container in _containers(obj))


def _selector(obj: Object) -> str:
    return selector_text(obj["spec"].get("selector"))


def _replicas_ready(obj: Object) -> str:
    return f"{obj['status'].get('readyReplicas', 0)}/{obj['spec']['replicas']}"


def _service_ports(obj: Object) -> str:
    return _joined(f"{port['port']}/{port['protocol']}" for port in obj["spec"].get("ports", ()))


def _service_selector(obj: Object) -> str:
    return _joined(f"{key}={value}" for key, value in sorted((obj["spec"].get("selector") or {}).items()))


def _endpoints(obj: Object) -> str:
    return _joined(
        f"{address['ip']}:{port['port']}"
        for subset in obj.get("subsets") or ()
        for address in subset.get("addresses", ())
        for port in subset.get("ports", ())
    )


def _slice_endpoints(obj: Object) -> str:
    return _joined(entry["addresses"][0] for entry in obj.get("endpoints") or ())


def _slice_ports(obj: Object) -> str:
    return _joined(port["port"] for port in obj.get("ports") or ())


def _event_object(obj: Object) -> str:
    return f"{obj['involvedObject'].get('kind', '').lower()}/{obj['involvedObject'].get('name', '')}"


def _event_seen(obj: Object) -> str:
    return age(obj.get("lastTimestamp") or obj.get("eventTime"))


def _node_status(obj: Object) -> str:
    ready = "Ready" if condition_true(obj, "Ready") else "NotReady"
    return ready + (",SchedulingDisabled" if obj["spec"].get("unschedulable") else "")


def _node_address(obj: Object) -> Any:
    addresses = obj["status"].get("addresses", ())
    return next((entry["address"] for entry in addresses if entry["type"] == "InternalIP"), None)


_AGE = Column("Age", _created)
_TEMPLATE = (
    Column("Containers", _container_names, wide=True),
    Column("Images", _images, wide=True),
)
_SELECTOR = Column("Selector", _selector, wide=True)

COLUMNS: dict[str, tuple[Column, ...]] = {
    "Pod": (
        Column("Ready", _pod_ready),
        Column("Status", _pod_status),
        Column("Restarts", _pod_restarts),
        _AGE,
        Column("IP", _at("status.podIP"), wide=True),
        Column("Node", _at("spec.nodeName"), wide=True),
        Column("Nominated Node", _at("status.nominatedNodeName"), wide=True),
        Column("Readiness Gates", _at("spec.readinessGates"), wide=True),
    ),
    "Deployment": (
        Column("Ready", _replicas_ready),
        Column("Up-to-date", _at("status.updatedReplicas", 0), "integer"),
        Column("Available", _at("status.availableReplicas", 0), "integer"),
        _AGE,
        *_TEMPLATE,
        _SELECTOR,
    ),
    "ReplicaSet": (
        Column("Desired", _at("spec.replicas"), "integer"),
        Column("Current", _at("status.replicas", 0), "integer"),
        Column("Ready", _at("status.readyReplicas", 0), "integer"),
        _AGE,
        *_TEMPLATE,
        _SELECTOR,
    ),
    "StatefulSet": (Column("Ready", _replicas_ready), _AGE, *_TEMPLATE),
    "Service": (
        Column("Type", _at("spec.type")),
        Column("Cluster-IP", _at("spec.clusterIP")),
        Column("External-IP", lambda obj: None),
        Column("Port(s)", _service_ports),
        _AGE,
        Column("Selector", _service_selector, wide=True),
    ),
    "Endpoints": (Column("Endpoints", _endpoints), _AGE),
    "EndpointSlice": (
        Column("AddressType", _at("addressType")),
        Column("Ports", _slice_ports),
        Column("Endpoints", _slice_endpoints),
        _AGE,
    ),
    "ConfigMap": (Column("Data", lambda obj: len(obj.get("data") or {}), "integer"), _AGE),
    "Namespace": (Column("Status", _at("status.phase")), _AGE),
    "Node": (
        Column("Status", _node_status),
        Column("Roles", lambda obj: None),
        _AGE,
        Column("Version", _at("status.nodeInfo.kubeletVersion")),
        Column("Internal-IP", _node_address, wide=True),
        Column("External-IP", lambda obj: None, wide=True),
        Column("OS-Image", _at("status.nodeInfo.osImage"), wide=True),
        Column("Kernel-Version", _at("status.nodeInfo.kernelVersion"), wide=True),
        Column("Container-Runtime", _at("status.nodeInfo.containerRuntimeVersion"), wide=True),
    ),
    "Event": (
        Column("Last Seen", _event_seen),
        Column("Type", _at("type")),
        Column("Reason", _at("reason")),
        Column("Object", _event_object),
        Column("Message", _at("message")),
        Column("Count", _at("count"), "integer", wide=True),
    ),
    "Lease": (Column("Holder", _at("spec.holderIdentity")), _AGE),
    "PodDisruptionBudget": (
        Column("Min Available", _at("spec.minAvailable", "N/A")),
        Column("Max Unavailable", _at("spec.maxUnavailable", "N/A")),
        Column("Allowed Disruptions", _at("status.disruptionsAllowed", 0), "integer"),
        _AGE,
    ),
}
