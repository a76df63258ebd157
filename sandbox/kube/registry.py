"""Create, update, patch and delete with the API server's rules, on top of the store."""

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from sandbox.kube import errors, patches, validation
from sandbox.kube.addresses import service_pool
from sandbox.kube.applying import Owners, fields_of
from sandbox.kube.defaults import apply_defaults
from sandbox.kube.objects import Object, clone, format_time, is_deleting, name_of, now, random_suffix, uid_of
from sandbox.kube.resources import NAMESPACES, PODS, SERVICES, Resource
from sandbox.kube.store import Store

Mutation = Callable[[Object], None]

_FIXED_METADATA = (
    "uid",
    "creationTimestamp",
    "namespace",
    "generation",
    "generateName",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
)
_FINALIZER_BY_PROPAGATION = {"Foreground": "foregroundDeletion", "Orphan": "orphan"}


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    """What a client may say when it deletes."""

    grace_s: int | None = None
    propagation: str = "Background"
    uid: str | None = None
    resource_version: str | None = None
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Manager:
    """Who applies, and whether he takes fields from others."""

    name: str
    force: bool = False


class Registry:
    """The one way to change objects; both the API and the controllers use it. Everything raises ApiError."""

    def __init__(self, store: Store, prefix: str) -> None:
        self.store = store
        self._service_addresses = service_pool(prefix)
        self._owners = Owners()

    def get(self, resource: Resource, namespace: str, name: str) -> Object:
        found = self.store.get(resource.key, namespace, name)
        if found is None:
            raise errors.not_found(resource.plural, resource.group, name)
        return found

    def create(self, resource: Resource, namespace: str, obj: Object, *, dry_run: bool = False) -> Object:
        """Store a new object, with defaults, identity and an empty status."""
        obj = clone(obj)
        self._check_address(resource, namespace, obj)
        self._set_identity(resource, namespace, obj)
        if resource.has_status and resource.kind != "Node":
            obj.pop("status", None)
        apply_defaults(obj)
        validation.check(resource, obj)
        name = name_of(obj)
        if self.store.get(resource.key, namespace, name) is not None:
            raise errors.already_exists(resource.plural, resource.group, name)
        if dry_run:
            return obj
        if resource is SERVICES:
            self._allocate_address(obj)
        return self.store.put(resource.key, obj)

    def _check_address(self, resource: Resource, namespace: str, obj: Object) -> None:
        if (obj.get("kind"), obj.get("apiVersion")) != (resource.kind, resource.api_version):
            got = f"{obj.get('apiVersion')}, Kind={obj.get('kind')}"
            raise errors.bad_request(f"the object provided is unrecognized (must be of type {resource.kind}): {got}")
        metadata = obj.setdefault("metadata", {})
        if resource.namespaced:
            if metadata.setdefault("namespace", namespace) != namespace:
                raise errors.bad_request("the namespace of the provided object does not match the namespace sent")
            self._check_namespace(namespace, resource, obj)
        else:
            metadata.pop("namespace", None)

    def _check_namespace(self, namespace: str, resource: Resource, obj: Object) -> None:
        space = self.store.get(NAMESPACES.key, "", namespace)
        if space is None:
            raise errors.not_found(NAMESPACES.plural, "", namespace)
        if is_deleting(space):
            why = f"unable to create new content in namespace {namespace} because it is being terminated"
            raise errors.forbidden(resource.plural, resource.group, obj["metadata"].get("name", ""), why)

    def _set_identity(self, resource: Resource, namespace: str, obj: Object) -> None:
        metadata = obj["metadata"]
        if not metadata.get("name"):
            if not metadata.get("generateName"):
                raise errors.invalid(resource.kind, resource.group, "", "metadata.name", "Required value")
            metadata["name"] = metadata["generateName"] + random_suffix()
        for assigned in ("resourceVersion", "deletionTimestamp", "deletionGracePeriodSeconds", "managedFields"):
            metadata.pop(assigned, None)
        metadata["uid"] = str(uuid.uuid4())
        metadata["creationTimestamp"] = now()
        if resource.generation:
            metadata["generation"] = 1

    def _allocate_address(self, service: Object) -> None:
        spec = service["spec"]
        wanted = spec.get("clusterIP") or None
        if wanted != "None":
            spec["clusterIP"] = self._service_addresses.take(wanted)
        spec["clusterIPs"] = [spec["clusterIP"]]

    def update(self, resource: Resource, namespace: str, obj: Object, *, subresource: str = "", dry_run: bool = False) -> Object:
        """Replace an object (or only its status). A resourceVersion in it that is not the current one is a Conflict."""
        obj = clone(obj)
        name = name_of(obj)
        current = self.get(resource, namespace, name)
        self._check_version(resource, current, obj)
        new = self._combined(resource, current, obj, subresource)
        if subresource != "status":
            apply_defaults(new)
            validation.check(resource, new)
            validation.check_update(resource, current, new)
        if dry_run:
            return new
        if is_deleting(new) and resource not in (PODS, NAMESPACES) and not new["metadata"].get("finalizers"):
            return self._remove(resource, new)
        return self.store.put(resource.key, new)

    def _check_version(self, resource: Resource, current: Object, obj: Object) -> None:
        wanted = obj["metadata"].get("resourceVersion")
        if wanted and wanted != current["metadata"]["resourceVersion"]:
            why = "the object has been modified; please apply your changes to the latest version and try again"
            raise errors.conflict(resource.plural, resource.group, name_of(obj), why)
        uid = obj["metadata"].get("uid")
        if uid and uid != uid_of(current):
            why = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {uid_of(current)}"
            raise errors.conflict(resource.plural, resource.group, name_of(obj), why)

    def _combined(self, resource: Resource, current: Object, obj: Object, subresource: str) -> Object:
        if subresource == "status":
            return {**clone(current), "status": obj.get("status", {})}
        new = {**obj, "kind": resource.kind, "apiVersion": resource.api_version}
        if resource.has_status:
            new["status"] = clone(current.get("status", {}))
        old_metadata, metadata = current["metadata"], new["metadata"]
        metadata.pop("managedFields", None)
        for fixed in _FIXED_METADATA:
            metadata.pop(fixed, None)
            if fixed in old_metadata:
                metadata[fixed] = old_metadata[fixed]
        if resource is SERVICES:
            for fixed in ("clusterIP", "clusterIPs"):
                new["spec"].setdefault(fixed, current["spec"][fixed])
        if resource.generation and new.get("spec") != current.get("spec"):
            metadata["generation"] = old_metadata["generation"] + 1
        return new

    def patch(self, resource: Resource, namespace: str, name: str, change: Mutation, *, subresource: str = "", dry_run: bool) -> Object:
        """Apply a change to a copy of the current object and store that."""
        draft = clone(self.get(resource, namespace, name))
        change(draft)
        return self.update(resource, namespace, draft, subresource=subresource, dry_run=dry_run)

    def apply(self, resource: Resource, namespace: str, obj: Object, *, dry_run: bool = False) -> Object:
        """Create the object, or merge it into the one of that name."""
        name = obj["metadata"]["name"]
        current = self.store.get(resource.key, namespace, name)
        if current is None:
            return self.create(resource, namespace, obj, dry_run=dry_run)
        merged = patches.apply_patch(patches.APPLY, current, obj)
        return self.update(resource, namespace, merged, dry_run=dry_run)

    def apply_as(self, resource: Resource, namespace: str, obj: Object, manager: Manager, *, dry_run: bool = False) -> Object:
        """Create the object, or change the one of that name, in the name of a manager who then owns these fields."""
        current = self.store.get(resource.key, namespace, obj["metadata"]["name"])
        if current is None:
            made = self.create(resource, namespace, obj, dry_run=dry_run)
            managers = {manager.name: set(fields_of(obj))}
        else:
            applied = self._owners.apply(current, obj, manager.name, force=manager.force)
            made, managers = self.update(resource, namespace, applied.object, dry_run=dry_run), applied.managers
        if not dry_run:
            self._owners.remember(made, managers)
        return made

    def mutate(self, resource: Resource, namespace: str, name: str, change: Mutation) -> Object | None:
        """Change any part of an object, as the system's own parts may; None when it is gone."""
        current = self.store.get(resource.key, namespace, name)
        if current is None:
            return None
        draft = clone(current)
        change(draft)
        if resource.generation and draft["spec"] != current["spec"]:
            draft["metadata"]["generation"] += 1
        return self.store.put(resource.key, draft)

    def delete(self, resource: Resource, namespace: str, name: str, options: DeleteOptions) -> Object:
        """Remove an object, or mark it so that its owner (kubelet, garbage collector) takes it apart first."""
        current = self.get(resource, namespace, name)
        self._check_preconditions(resource, current, options)
        if options.dry_run:
            return current
        if resource is PODS:
            return self._delete_pod(current, options)
        if resource is NAMESPACES:
            return self._mark_namespace(current)
        finalizer = _FINALIZER_BY_PROPAGATION.get(options.propagation)
        if finalizer is None and not current["metadata"].get("finalizers"):
            return self._remove(resource, current)
        return self._mark(resource, current, finalizer)

    def _check_preconditions(self, resource: Resource, current: Object, options: DeleteOptions) -> None:
        metadata = current["metadata"]
        for wanted, actual, what in (
            (options.uid, metadata["uid"], "UID"),
            (options.resource_version, metadata["resourceVersion"], "ResourceVersion"),
        ):
            if wanted and wanted != actual:
                why = f"the {what} in the precondition ({wanted}) does not match the {what} in record ({actual})"
                raise errors.conflict(resource.plural, resource.group, name_of(current), why)

    def _delete_pod(self, pod: Object, options: DeleteOptions) -> Object:
        grace_s = pod["spec"]["terminationGracePeriodSeconds"] if options.grace_s is None else options.grace_s
        if not pod["spec"].get("nodeName") or pod["status"].get("phase") in ("Succeeded", "Failed"):
            grace_s = 0
        if grace_s <= 0:
            return self._remove(PODS, pod)
        if is_deleting(pod) and pod["metadata"]["deletionGracePeriodSeconds"] <= grace_s:
            return pod
        draft = clone(pod)
        draft["metadata"]["deletionTimestamp"] = format_time(time.time() + grace_s)
        draft["metadata"]["deletionGracePeriodSeconds"] = grace_s
        return self.store.put(PODS.key, draft)

    def _mark(self, resource: Resource, current: Object, finalizer: str | None) -> Object:
        draft = clone(current)
        metadata = draft["metadata"]
        metadata.setdefault("deletionTimestamp", now())
        metadata.setdefault("deletionGracePeriodSeconds", 0)
        finalizers = metadata.setdefault("finalizers", [])
        if finalizer is not None and finalizer not in finalizers:
            finalizers.append(finalizer)
        return self.store.put(resource.key, draft)

    def _mark_namespace(self, namespace: Object) -> Object:
        draft = clone(namespace)
        draft["metadata"].setdefault("deletionTimestamp", now())
        draft["status"]["phase"] = "Terminating"
        return self.store.put(NAMESPACES.key, draft)

    def remove(self, resource: Resource, namespace: str, name: str) -> None:
        """Take an object out for good, if it is still there."""
        current = self.store.get(resource.key, namespace, name)
        if current is not None:
            self._remove(resource, current)

    def _remove(self, resource: Resource, obj: Object) -> Object:
        if resource is SERVICES:
            self._service_addresses.release(obj["spec"]["clusterIP"])
        self._owners.forget(obj)
        self.store.remove(resource.key, obj["metadata"].get("namespace", ""), name_of(obj))
        return obj
