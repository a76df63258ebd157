"""What an identity must be allowed to do on the cluster, for looking and for each kind of fault."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Permission:
    """One verb on one resource of the namespace. `group` is "" for the core API; with `name` on the one object of that name."""

    verb: str
    resource: str
    group: str = ""
    subresource: str = ""
    name: str = ""

    def __str__(self) -> str:
        resource = f"{self.resource}/{self.subresource}" if self.subresource else self.resource
        return f"{self.verb} {resource}{f'.{self.group}' if self.group else ''}{f' {self.name}' if self.name else ''}"


APPS, LEASES = "apps", "coordination.k8s.io"
LEASE_NAME = "chaos-orchestrator"
OBSERVER = (
    Permission("get", "namespaces"),
    *(Permission(verb, "pods") for verb in ("get", "list", "watch")),
    Permission("get", "pods", subresource="proxy"),
    Permission("get", "pods", subresource="log"),
    Permission("get", "deployments", APPS),
    Permission("get", "statefulsets", APPS),
)
"""Guards, samplers and exposure counters: reading only."""
RUN = (
    Permission("create", "leases", LEASES),
    *(Permission(verb, "leases", LEASES, name=LEASE_NAME) for verb in ("get", "update", "delete")),
)
"""What every run writes, whatever its faults: its Lease. A name cannot be given to a create: the object is not there yet."""
KILL_POD = (Permission("delete", "pods"),)
EVICT_POD = (Permission("create", "pods", subresource="eviction"),)
SCALE_STATEFULSET = (Permission("patch", "statefulsets", APPS, "scale"), Permission("patch", "statefulsets", APPS))
