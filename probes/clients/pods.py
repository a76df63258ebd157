"""What the API server's JSON says about pods and workloads, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from probes.clients.unreachable import Unreachable

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Pod:
    """One pod. `deletion` is the API server's own text (whole seconds, evidence only), "" while nobody deletes it."""

    name: str
    uid: str
    version: int
    ip: str
    ready: bool
    restarts: int
    deletion: str
    labels: Mapping[str, str]
    ports: Mapping[str, int]

    def port(self, name: str) -> int:
        """The number of a named container port (a number is taken as it is). Raises Unreachable.

        The API server's pod proxy does not resolve names: it would dial them.
        """
        if name.isdigit():
            return int(name)
        if name not in self.ports:
            raise Unreachable(f"port {name} of pod {self.name}", "no container port has this name")
        return self.ports[name]


@dataclass(frozen=True, slots=True)
class Selector:
    """A label selector; one without any term matches nothing (a workload must select)."""

    labels: Mapping[str, str]
    expressions: tuple[tuple[str, str, frozenset[str]], ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        if not self.labels and not self.expressions:
            return False
        equal = all(labels.get(key) == value for key, value in self.labels.items())
        return equal and all(_holds(labels, *term) for term in self.expressions)

    def query(self) -> str:
        """The selector as the API's `labelSelector` parameter."""
        return ",".join([f"{key}={value}" for key, value in self.labels.items()] + [_term(*term) for term in self.expressions])


@dataclass(frozen=True, slots=True)
class Workload:
    """A Deployment or StatefulSet as it is now."""

    name: str
    replicas: int
    ready_replicas: int
    selector: Selector


def pod_of(document: Json) -> Pod:
    """A pod from its JSON. Ready = condition Ready and not being deleted (a terminating pod is no replica)."""
    metadata, status = document["metadata"], document.get("status", {})
    deletion = metadata.get("deletionTimestamp") or ""
    conditions = {entry["type"]: entry["status"] for entry in status.get("conditions") or ()}
    return Pod(
        name=metadata["name"],
        uid=metadata.get("uid", ""),
        version=int(metadata.get("resourceVersion") or 0),
        ip=status.get("podIP") or "",
        ready=conditions.get("Ready") == "True" and not deletion,
        restarts=sum(int(entry.get("restartCount", 0)) for entry in status.get("containerStatuses") or ()),
        deletion=deletion,
        labels=metadata.get("labels") or {},
        ports=_ports(document),
    )


def workload_of(document: Json) -> Workload:
    """A workload from its JSON; `replicas` is what its spec asks for (1 where it says nothing)."""
    spec, selector = document["spec"], document["spec"].get("selector") or {}
    expressions = tuple(
        (term["key"], term["operator"], frozenset(term.get("values") or ())) for term in selector.get("matchExpressions") or ()
    )
    replicas = spec.get("replicas")
    return Workload(
        name=document["metadata"]["name"],
        replicas=1 if replicas is None else int(replicas),
        ready_replicas=int((document.get("status") or {}).get("readyReplicas") or 0),
        selector=Selector(labels=selector.get("matchLabels") or {}, expressions=expressions),
    )


def _ports(document: Json) -> dict[str, int]:
    containers = (document.get("spec") or {}).get("containers") or ()
    ports = [port for container in containers for port in container.get("ports") or ()]
    return {port["name"]: int(port["containerPort"]) for port in ports if port.get("name")}


def _holds(labels: Mapping[str, str], key: str, operator: str, values: frozenset[str]) -> bool:
    match operator:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
    raise ValueError(f"label selector operator {operator!r} is not one of In, NotIn, Exists, DoesNotExist")


def _term(key: str, operator: str, values: frozenset[str]) -> str:
    listed = f"({','.join(sorted(values))})"
    return {"In": f"{key} in {listed}", "NotIn": f"{key} notin {listed}", "Exists": key, "DoesNotExist": f"!{key}"}[operator]
