"""What an identity must be allowed to do on the cluster, for looking and for each kind of fault."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Permission:
    """One verb on one resource of the namespace. `group` is "" for the core API."""

    verb: str
    resource: str
    group: str = ""
    subresource: str = ""

    def __str__(self) -> str:
        name = f"{self.resource}/{self.subresource}" if self.subresource else self.resource
        return f"{self.verb} {name}{f'.{self.group}' if self.group else ''}"


APPS, LEASES, DISCOVERY = "apps", "coordination.k8s.io", "discovery.k8s.io"
OBSERVER = (
    *(Permission(verb, "pods") for verb in ("get", "list", "watch")),
    Permission("get", "pods", subresource="proxy"),
    Permission("get", "pods", subresource="log"),
    Permission("get", "deployments", APPS),
    Permission("get", "statefulsets", APPS),
    *(Permission(verb, "leases", LEASES) for verb in ("get", "create", "update", "delete")),
)
"""Samplers, exposure counters, and the run's Lease."""
KILL_POD = (Permission("delete", "pods"),)
EVICT_POD = (Permission("create", "pods", subresource="eviction"),)
SCALE_STATEFULSET = (Permission("patch", "statefulsets", APPS, "scale"), Permission("patch", "statefulsets", APPS))
INTERPOSE = (
    *(Permission(verb, "services") for verb in ("get", "create", "patch", "delete")),
    Permission("list", "endpointslices", DISCOVERY),
)
