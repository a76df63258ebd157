"""Which objects a workload owns, and which orphans it takes."""

from sandbox.kube.objects import (
    Object,
    controller_uid,
    is_deleting,
    labels_of,
    name_of,
    namespace_of,
    owner_reference,
    uid_of,
)
from sandbox.kube.registry import Registry
from sandbox.kube.resources import Resource
from sandbox.kube.selectors import matches


def owned(registry: Registry, owner: Object, resource: Resource) -> list[Object]:
    """The objects of a kind that the owner controls; matching ones without a controller are adopted first."""
    mine = []
    for obj in registry.store.list(resource.key, namespace_of(owner)):
        uid = controller_uid(obj)
        if uid == uid_of(owner):
            mine.append(obj)
        elif uid is None and _adoptable(owner, obj):
            mine.append(_adopt(registry, owner, resource, obj))
    return mine


def _adoptable(owner: Object, obj: Object) -> bool:
    return not is_deleting(owner) and not is_deleting(obj) and matches(owner["spec"]["selector"], labels_of(obj))


def _adopt(registry: Registry, owner: Object, resource: Resource, obj: Object) -> Object:
    def change(draft: Object) -> None:
        draft["metadata"].setdefault("ownerReferences", []).append(owner_reference(owner))

    return registry.mutate(resource, namespace_of(obj), name_of(obj), change) or obj


def owner_names(registry: Registry, resource: Resource, obj: Object) -> list[str]:
    """Names of the workloads of a kind to look at when the object changes: its owner, or those that may adopt it."""
    uid = controller_uid(obj)
    if uid is not None:
        return [
            reference["name"]
            for reference in obj["metadata"]["ownerReferences"]
            if reference["uid"] == uid and reference["kind"] == resource.kind
        ]
    candidates = registry.store.list(resource.key, namespace_of(obj))
    return [name_of(owner) for owner in candidates if matches(owner["spec"]["selector"], labels_of(obj))]
