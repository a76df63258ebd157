"""Reads requests and writes answers: query parameters, bodies, media types."""

from dataclasses import dataclass
from typing import Any

import orjson
import yaml
from aiohttp import web

from sandbox.kube import errors, protobuf
from sandbox.kube.objects import Object
from sandbox.kube.paths import Target
from sandbox.kube.registry import DeleteOptions, Manager
from sandbox.kube.resources import Resource
from sandbox.kube.selectors import Predicate, field_predicate, label_predicate

_PROTOBUF = "application/vnd.kubernetes.protobuf"
_TRUE = ("true", "1")


def json_answer(body: Object, code: int = 200, content_type: str = "application/json") -> web.Response:
    return web.Response(body=orjson.dumps(body), status=code, headers={"Content-Type": content_type})


async def read_object(request: web.Request) -> Object:
    """The object in the body. Raises ApiError 400, or 415 for a kind that is not read as protobuf."""
    body = await request.read()
    media_type = request.content_type
    if media_type == _PROTOBUF:
        return _read_protobuf(body)
    try:
        value = yaml.safe_load(body) if "yaml" in media_type else orjson.loads(body)
    except (orjson.JSONDecodeError, yaml.YAMLError) as error:
        raise errors.bad_request(f"couldn't decode the body: {error}") from None
    if not isinstance(value, dict):
        raise errors.bad_request("the body must be an object")
    return value


def _read_protobuf(body: bytes) -> Object:
    try:
        return protobuf.read(body)
    except ValueError as error:
        raise errors.bad_request(f"couldn't decode the body: {error}") from None
    except KeyError as kind:
        why = f"{_PROTOBUF}, of kind {kind}; use `kubectl apply -f` or `kubectl create -f`"
        raise errors.unsupported_media_type(why, "application/json, application/yaml") from None


def flag(request: web.Request, name: str) -> bool:
    return request.query.get(name, "").lower() in _TRUE


def number(request: web.Request, name: str) -> int | None:
    """A query parameter as a whole number. Raises ApiError 400."""
    text = request.query.get(name)
    if not text:
        return None
    try:
        return int(text)
    except ValueError:
        raise errors.bad_request(f"{name}: {text!r} is not a number") from None


def dry_run(request: web.Request) -> bool:
    return _checked_dry_run(request.query.getall("dryRun", []))


def _checked_dry_run(values: Any) -> bool:
    if not values:
        return False
    if list(values) != ["All"]:
        raise errors.bad_request(f"dryRun: Unsupported value: {values}: supported values: All")
    return True


def manager(request: web.Request) -> Manager:
    """Who applies. Raises ApiError 422 when that is not said."""
    name = request.query.get("fieldManager", "")
    if not name:
        raise errors.invalid("PatchOptions", "meta.k8s.io", "", "fieldManager", "Required value: is required for apply patch")
    return Manager(name, flag(request, "force"))


def predicate(request: web.Request, target: Target) -> Predicate:
    """Label selector, field selector and, where the path has one, the name."""
    labels = label_predicate(request.query.get("labelSelector", ""))
    fields = field_predicate(request.query.get("fieldSelector", ""), target.resource.selectable_fields)
    name = target.name
    return lambda obj: labels(obj) and fields(obj) and (not name or obj["metadata"]["name"] == name)


def selected_name(request: web.Request) -> str:
    """The one name that a field selector leaves over; '' where it leaves more. By it a rule for that name allows list and watch."""
    for term in request.query.get("fieldSelector", "").split(","):
        field, _, name = term.partition("=")
        if field.strip() == "metadata.name":
            return name.removeprefix("=").strip()
    return ""


def wants_table(request: web.Request) -> bool:
    return "as=Table" in request.headers.get("Accept", "")


async def delete_options(request: web.Request) -> DeleteOptions:
    """From query and body, which may be empty."""
    body = await read_object(request) if (await request.read()).strip() else {}
    return read_delete_options(request, body)


def read_delete_options(request: web.Request, body: Object) -> DeleteOptions:
    """From query and a DeleteOptions object."""
    preconditions = body.get("preconditions") or {}
    grace_s = number(request, "gracePeriodSeconds")
    orphan = body.get("orphanDependents") or flag(request, "orphanDependents")
    propagation = body.get("propagationPolicy") or request.query.get("propagationPolicy") or "Background"
    return DeleteOptions(
        grace_s=body.get("gracePeriodSeconds") if grace_s is None else grace_s,
        propagation="Orphan" if orphan else propagation,
        uid=preconditions.get("uid"),
        resource_version=preconditions.get("resourceVersion"),
        dry_run=dry_run(request) or _checked_dry_run(body.get("dryRun")),
    )


@dataclass(frozen=True, slots=True)
class Deleted:
    """How the API answers a deletion: some kinds give the object, the others a Status."""

    resource: Resource
    object: Object

    def body(self) -> Object:
        if self.resource.kind in ("Pod", "Service", "Namespace", "ServiceAccount"):
            return self.object
        details = {"name": self.object["metadata"]["name"], "kind": self.resource.plural}
        if self.resource.group:
            details["group"] = self.resource.group
        details["uid"] = self.object["metadata"]["uid"]
        return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
