"""What can be done with objects: get, list, create, update, patch, delete, and the parts scale, status and eviction."""

from typing import Any

from aiohttp import web

from sandbox.kube import errors, patches
from sandbox.kube.authorization import Attributes, allowed
from sandbox.kube.budgets import check_eviction
from sandbox.kube.identity import Identities, User
from sandbox.kube.objects import Object, clone, name_of, namespace_of, now
from sandbox.kube.paging import PageQuery, read_page
from sandbox.kube.paths import Target
from sandbox.kube.registry import Registry
from sandbox.kube.requests import (
    Deleted,
    delete_options,
    dry_run,
    json_answer,
    manager,
    number,
    predicate,
    read_delete_options,
    read_object,
    wants_table,
)
from sandbox.kube.resources import ACCESS_REVIEWS, NAMESPACES, PODS, Resource
from sandbox.kube.selectors import selector_text
from sandbox.kube.tables import TableStyle, table


class Verbs:
    """One method per verb; each raises ApiError."""

    def __init__(self, registry: Registry, identities: Identities) -> None:
        self._registry = registry
        self._identities = identities
        self._by_method = {
            "GET": self._get,
            "POST": self._create,
            "PUT": self._update,
            "PATCH": self._patch,
            "DELETE": self._delete,
        }

    async def serve(self, request: web.Request, user: User, target: Target) -> web.Response:
        if request.method == "POST" and target.resource is ACCESS_REVIEWS:
            return json_answer(self._review(user, await read_object(request)), 201)
        verb = self._by_method.get(request.method)
        if verb is None:
            raise errors.method_not_allowed()
        return await verb(request, target)

    def current(self, target: Target) -> Object:
        return self._registry.get(target.resource, target.namespace, target.name)

    async def _get(self, request: web.Request, target: Target) -> web.Response:
        if "get" not in target.resource.verbs:
            raise errors.method_not_allowed()
        style = TableStyle(request.query.get("includeObject", "Metadata"))
        if not target.name:
            return self._list(request, target, style)
        current = self.current(target)
        if target.subresource == "scale":
            return json_answer(_scale(target.resource, current))
        if wants_table(request):
            return json_answer(table(target.resource, [current], style))
        return json_answer(current)

    def _list(self, request: web.Request, target: Target, style: TableStyle) -> web.Response:
        store = self._registry.store
        wanted = number(request, "resourceVersion") or 0
        if wanted > store.revision:
            raise errors.too_large_revision(wanted, store.revision)
        limit, token = number(request, "limit") or 0, request.query.get("continue", "")
        page = read_page(store, PageQuery(target.resource.key, target.namespace, predicate(request, target), limit, token))
        if wants_table(request):
            return json_answer({**table(target.resource, page.items, style), "metadata": page.metadata})
        kind = {"kind": target.resource.kind + "List", "apiVersion": target.resource.api_version}
        return json_answer({**kind, "metadata": page.metadata, "items": page.items})

    async def _create(self, request: web.Request, target: Target) -> web.Response:
        body = await read_object(request)
        if target.subresource == "token":
            return json_answer(self._identities.issue(self.current(target), body), 201)
        if target.subresource == "eviction":
            return self._evict(request, target, body)
        if target.name or "create" not in target.resource.verbs:
            raise errors.method_not_allowed()
        body.setdefault("kind", target.resource.kind)
        body.setdefault("apiVersion", target.resource.api_version)
        created = self._registry.create(target.resource, target.namespace, body, dry_run=dry_run(request))
        return self._answer(request, target.resource, created, 201)

    def _review(self, user: User, review: Object) -> Object:
        """Answer a SelfSubjectAccessReview. Of paths that are no resource everybody may read those that are served."""
        answer = clone(review)
        answer.setdefault("metadata", {}).setdefault("creationTimestamp", now())
        asked = (review.get("spec") or {}).get("resourceAttributes") or {}
        keys = ("verb", "group", "resource", "subresource", "namespace", "name")
        may = not asked or allowed(self._registry.store, user, Attributes(**{key: asked.get(key) or "" for key in keys}))
        return {**answer, "status": {"allowed": may}}

    def _evict(self, request: web.Request, target: Target, body: Object) -> web.Response:
        options = read_delete_options(request, body.get("deleteOptions") or {})
        check_eviction(self._registry.store, self.current(target))
        self._registry.delete(PODS, target.namespace, target.name, options)
        return json_answer({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}, 201)

    async def _update(self, request: web.Request, target: Target) -> web.Response:
        body = await read_object(request)
        self._check_named(target)
        if target.subresource == "scale":
            return self._set_scale(request, target, body)
        self._check_name(target, body)
        if target.resource.namespaced:
            body["metadata"]["namespace"] = target.namespace
        updated = self._registry.update(target.resource, target.namespace, body, subresource=target.subresource, dry_run=dry_run(request))
        return self._answer(request, target.resource, updated)

    async def _patch(self, request: web.Request, target: Target) -> web.Response:
        self._check_named(target)
        kind, body = request.content_type, await request.read()
        patch = patches.parse(kind, body)
        if target.subresource == "scale":
            scale = patches.apply_patch(kind, _scale(target.resource, self.current(target)), patch)
            return self._set_scale(request, target, scale)
        if kind == patches.APPLY and not target.subresource:
            return self._apply(request, target, patch)
        patched = patches.apply_patch(kind, self.current(target), patch)
        self._check_name(target, patched)
        updated = self._registry.update(
            target.resource, target.namespace, patched, subresource=target.subresource, dry_run=dry_run(request)
        )
        return self._answer(request, target.resource, updated)

    def _apply(self, request: web.Request, target: Target, body: Any) -> web.Response:
        if not isinstance(body, dict):
            raise errors.bad_request("the patch must be an object")
        self._check_name(target, body)
        is_new = self._registry.store.get(target.resource.key, target.namespace, target.name) is None
        applied = self._registry.apply_as(target.resource, target.namespace, body, manager(request), dry_run=dry_run(request))
        return self._answer(request, target.resource, applied, 201 if is_new else 200)

    def _check_name(self, target: Target, body: Object) -> None:
        """Raises ApiError 400 for the body of another object; one that has no name gets it from the URL."""
        name = body.setdefault("metadata", {}).setdefault("name", target.name)
        if name != target.name:
            raise errors.bad_request(f"the name of the object ({name}) does not match the name on the URL ({target.name})")

    def _check_named(self, target: Target) -> None:
        if not target.name or target.subresource not in ("", "status", "scale"):
            raise errors.method_not_allowed()

    def _set_scale(self, request: web.Request, target: Target, scale: Object) -> web.Response:
        replicas = (scale.get("spec") or {}).get("replicas", 0)

        def change(draft: Object) -> None:
            draft["spec"]["replicas"] = replicas
            wanted = scale.get("metadata", {}).get("resourceVersion")
            if wanted:
                draft["metadata"]["resourceVersion"] = wanted

        updated = self._registry.patch(target.resource, target.namespace, target.name, change, dry_run=dry_run(request))
        return json_answer(_scale(target.resource, updated))

    async def _delete(self, request: web.Request, target: Target) -> web.Response:
        if target.subresource or "delete" not in target.resource.verbs:
            raise errors.method_not_allowed()
        options = await delete_options(request)
        if target.name:
            gone = self._registry.delete(target.resource, target.namespace, target.name, options)
            return json_answer(Deleted(target.resource, gone).body())
        if target.resource is NAMESPACES:
            raise errors.method_not_allowed()
        found = self._registry.store.list(target.resource.key, target.namespace, predicate(request, target))
        for obj in found:
            self._registry.delete(target.resource, namespace_of(obj), name_of(obj), options)
        kind = {"kind": target.resource.kind + "List", "apiVersion": target.resource.api_version}
        return json_answer({**kind, "metadata": {"resourceVersion": str(self._registry.store.revision)}, "items": found})

    def _answer(self, request: web.Request, resource: Resource, obj: Object, code: int = 200) -> web.Response:
        if wants_table(request):
            style = TableStyle(request.query.get("includeObject", "Metadata"))
            return json_answer(table(resource, [obj], style), code)
        return json_answer(obj, code)


def _scale(resource: Resource, obj: Object) -> Object:
    metadata = {key: obj["metadata"][key] for key in ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")}
    status: dict[str, Any] = {"replicas": obj["status"].get("replicas", 0)}
    status["selector"] = selector_text(obj["spec"]["selector"])
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": metadata,
        "spec": {"replicas": obj["spec"]["replicas"]},
        "status": status,
    }
