"""Takes away what belongs to owners that are gone, and what is left in namespaces that are going."""

from sandbox.kube import resources
from sandbox.kube.controllers.base import Controller
from sandbox.kube.objects import Object, is_deleting, name_of, namespace_of, uid_of
from sandbox.kube.registry import DeleteOptions
from sandbox.kube.resources import NAMESPACES, Resource
from sandbox.kube.store import Change

_FOREGROUND, _ORPHAN = "foregroundDeletion", "orphan"
_SCANNED = tuple(resource for resource in resources.ALL if resource.namespaced)
_OWNERS = tuple(resource for resource in resources.ALL if resource is not resources.EVENTS)
_DEPENDENTS = tuple(resource for resource in _SCANNED if resource is not resources.EVENTS)


class GarbageCollector(Controller):
    """Its keys are (namespace, uid) of an owner that is going or gone, and ('', name) of a namespace that is."""

    def start(self) -> None:
        for resource in _DEPENDENTS:
            self.store.subscribe(resource.key, self._on_owner)
        self.store.subscribe(NAMESPACES.key, self._on_namespace)
        for resource in _SCANNED:
            self.store.subscribe(resource.key, self._on_removal)

    def _on_owner(self, change: Change) -> None:
        if change.type == "DELETED" or is_deleting(change.object):
            self.enqueue(namespace_of(change.object), uid_of(change.object))

    def _on_removal(self, change: Change) -> None:
        """The last dependent of an owner, or the last object of a namespace, may just have gone."""
        if change.type != "DELETED":
            return
        for reference in change.object["metadata"].get("ownerReferences") or ():
            self.enqueue(namespace_of(change.object), reference["uid"])
        space = self.store.get(NAMESPACES.key, "", namespace_of(change.object))
        if space is not None and is_deleting(space):
            self.enqueue("", name_of(space))

    def _on_namespace(self, change: Change) -> None:
        if is_deleting(change.object):
            self.enqueue("", name_of(change.object))

    def reconcile(self, namespace: str, name: str) -> None:
        if namespace:
            self._collect(namespace, name)
        else:
            self._empty(name)

    def _collect(self, namespace: str, uid: str) -> None:
        owner = self._owner(namespace, uid)
        if owner is None:
            self._delete_dependents(namespace, uid, DeleteOptions())
            return
        finalizers = owner[1]["metadata"].get("finalizers") or ()
        if not is_deleting(owner[1]):
            return
        if _ORPHAN in finalizers:
            self._release_dependents(namespace, uid)
            self._finish(*owner, _ORPHAN)
        elif _FOREGROUND in finalizers:
            self._delete_dependents(namespace, uid, DeleteOptions(propagation="Foreground"))
            if not self._dependents(namespace, uid):
                self._finish(*owner, _FOREGROUND)

    def _owner(self, namespace: str, uid: str) -> tuple[Resource, Object] | None:
        for resource in _OWNERS:
            for obj in self.store.list(resource.key, namespace if resource.namespaced else ""):
                if uid_of(obj) == uid:
                    return resource, obj
        return None

    def _dependents(self, namespace: str, uid: str) -> list[tuple[Resource, Object]]:
        return [
            (resource, obj)
            for resource in _DEPENDENTS
            for obj in self.store.list(resource.key, namespace)
            if any(reference["uid"] == uid for reference in obj["metadata"].get("ownerReferences") or ())
        ]

    def _delete_dependents(self, namespace: str, uid: str, options: DeleteOptions) -> None:
        for resource, obj in self._dependents(namespace, uid):
            owners = obj["metadata"]["ownerReferences"]
            if not is_deleting(obj) and all(entry["uid"] == uid for entry in owners):
                self.registry.delete(resource, namespace, name_of(obj), options)

    def _release_dependents(self, namespace: str, uid: str) -> None:
        def change(draft: Object) -> None:
            owners = draft["metadata"]["ownerReferences"]
            draft["metadata"]["ownerReferences"] = [entry for entry in owners if entry["uid"] != uid]

        for resource, obj in self._dependents(namespace, uid):
            self.registry.mutate(resource, namespace, name_of(obj), change)

    def _finish(self, resource: Resource, owner: Object, finalizer: str) -> None:
        def change(draft: Object) -> None:
            draft["metadata"]["finalizers"].remove(finalizer)

        self.registry.patch(resource, namespace_of(owner), name_of(owner), change, dry_run=False)

    def _empty(self, name: str) -> None:
        space = self.store.get(NAMESPACES.key, "", name)
        if space is None or not is_deleting(space):
            return
        left = [(resource, obj) for resource in _SCANNED for obj in self.store.list(resource.key, name)]
        for resource, obj in left:
            if not is_deleting(obj):
                self.registry.delete(resource, name, name_of(obj), DeleteOptions())
        if not left:
            self.registry.remove(NAMESPACES, "", name)
