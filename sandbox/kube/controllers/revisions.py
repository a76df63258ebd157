"""The templates that a StatefulSet has had, as ControllerRevisions: what `kubectl rollout history` and `undo` go by."""

from sandbox.kube.controllers.ownership import owned
from sandbox.kube.objects import Object, clone, labels_of, name_of, namespace_of, owner_reference
from sandbox.kube.registry import DeleteOptions, Registry
from sandbox.kube.resources import CONTROLLER_REVISIONS

_HASH = "controller.kubernetes.io/hash"


def record(registry: Registry, stateful_set: Object, name: str) -> None:
    """Make the revision of the present template the newest one; `name` is made of the set's name and the template's hash."""
    kept = sorted(owned(registry, stateful_set, CONTROLLER_REVISIONS), key=lambda entry: int(entry["revision"]))
    newest = int(kept[-1]["revision"]) if kept else 0
    found = next((entry for entry in kept if name_of(entry) == name), None)
    if found is None:
        registry.create(CONTROLLER_REVISIONS, namespace_of(stateful_set), _revision(stateful_set, name, newest + 1))
    elif int(found["revision"]) < newest:
        registry.mutate(CONTROLLER_REVISIONS, namespace_of(stateful_set), name, lambda draft: draft.update(revision=newest + 1))


def forget_old(registry: Registry, stateful_set: Object, in_use: set[str]) -> None:
    """Delete the oldest beyond `revisionHistoryLimit`, of those that no pod has."""
    idle = [entry for entry in owned(registry, stateful_set, CONTROLLER_REVISIONS) if name_of(entry) not in in_use]
    idle.sort(key=lambda entry: int(entry["revision"]))
    for entry in idle[: max(0, len(idle) - stateful_set["spec"]["revisionHistoryLimit"])]:
        registry.delete(CONTROLLER_REVISIONS, namespace_of(entry), name_of(entry), DeleteOptions())


def _revision(stateful_set: Object, name: str, number: int) -> Object:
    template = clone(stateful_set["spec"]["template"])
    labels = {**labels_of(template), _HASH: name.rpartition("-")[2]}
    return {
        "apiVersion": CONTROLLER_REVISIONS.api_version,
        "kind": CONTROLLER_REVISIONS.kind,
        "metadata": {"name": name, "labels": labels, "ownerReferences": [owner_reference(stateful_set)]},
        "data": {"spec": {"template": {"$patch": "replace", **template}}},
        "revision": number,
    }
