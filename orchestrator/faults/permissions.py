"""What an identity must be allowed to do on the cluster, for looking and for each kind of fault."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Permission:
    """One verb on one resource. `group` is "" for the core API; with `name` on the one object of that name.

    `namespace`: None for the platform's, "" for the whole cluster.
    """

    verb: str
    resource: str
    group: str = ""
    subresource: str = ""
    name: str = ""
    namespace: str | None = None

    def __str__(self) -> str:
        resource = f"{self.resource}/{self.subresource}" if self.subresource else self.resource
        place = {None: "", "": " in the whole cluster"}.get(self.namespace, f" in namespace {self.namespace}")
        return f"{self.verb} {resource}{f'.{self.group}' if self.group else ''}{f' {self.name}' if self.name else ''}{place}"


APPS, BATCH, LEASES, DISCOVERY = "apps", "batch", "coordination.k8s.io", "discovery.k8s.io"
LEASE_NAME, MIRROR_NAME, LOAD_NAME = "chaos-orchestrator", "chaos-orchestrator-ledger", "chaos-orchestrator-load"
OBSERVER = (
    Permission("get", "namespaces"),
    *(Permission(verb, "pods") for verb in ("get", "list", "watch")),
    Permission("get", "pods", subresource="proxy"),
    Permission("get", "pods", subresource="log"),
    Permission("get", "deployments", APPS),
    Permission("get", "statefulsets", APPS),
)
"""Guards, samplers and exposure counters: reading only."""
LEASE = (
    Permission("create", "leases", LEASES),
    *(Permission(verb, "leases", LEASES, name=LEASE_NAME) for verb in ("get", "update", "delete")),
)
"""What every run writes, whatever its faults. A name cannot be given to a create: the object is not there yet."""
MIRROR = (
    Permission("create", "configmaps"),
    *(Permission(verb, "configmaps", name=MIRROR_NAME) for verb in ("get", "update", "delete")),
)
"""The copy of the ledger in the namespace, where the target description does not do without."""


def of_a_run(*, mirrored: bool) -> tuple[Permission, ...]:
    """What a run needs beside its faults."""
    return (*OBSERVER, *LEASE, *(MIRROR if mirrored else ()))


KILL_POD = (Permission("delete", "pods"),)
EVICT_POD = (Permission("create", "pods", subresource="eviction"),)
SCALE_STATEFULSET = (Permission("patch", "statefulsets", APPS, "scale"), Permission("patch", "statefulsets", APPS))
INTERPOSE = (
    *(Permission(verb, "services") for verb in ("get", "create", "patch", "delete")),
    Permission("list", "endpointslices", DISCOVERY),
)
LOAD_JOB = (
    Permission("create", "jobs", BATCH),
    *(Permission(verb, "jobs", BATCH, name=LOAD_NAME) for verb in ("get", "delete")),
    Permission("create", "secrets"),
    Permission("list", "pods"),
    Permission("get", "pods", subresource="proxy"),
)
"""In the namespace of the load, where a Job makes it. Its Secret is never read, and goes with the Job that owns it."""
