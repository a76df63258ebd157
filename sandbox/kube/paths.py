"""From a request's path to what it means."""

from dataclasses import dataclass
from urllib.parse import unquote

from sandbox.kube import errors, resources
from sandbox.kube.resources import Resource


@dataclass(frozen=True, slots=True)
class Target:
    """A resource, perhaps in a namespace, perhaps one object, perhaps a part of it."""

    resource: Resource
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    tail: str = ""
    """What follows `proxy`, still encoded, with its leading slash."""


def parse(raw_path: str) -> Target:
    """The target of /api/v1/... or /apis/GROUP/VERSION/... Raises ApiError 404."""
    parts = raw_path.strip("/").split("/")
    if parts[:2] == ["api", "v1"]:
        group, version, rest = "", "v1", parts[2:]
    elif parts[0] == "apis" and len(parts) > 3:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        raise errors.unknown_path()
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] != "status":
        namespace, rest = unquote(rest[1]), rest[2:]
    resource = resources.for_path(group, version, rest[0])
    if bool(namespace) > resource.namespaced:
        raise errors.unknown_path()
    return _target(resource, namespace, rest, raw_path)


def _target(resource: Resource, namespace: str, rest: list[str], raw_path: str) -> Target:
    name = unquote(rest[1]) if len(rest) > 1 else ""
    subresource = rest[2] if len(rest) > 2 else ""
    if name and resource.namespaced and not namespace:
        raise errors.unknown_path()
    if subresource and subresource not in resource.subresources:
        raise errors.unknown_path()
    if subresource != "proxy":
        if len(rest) > 3:
            raise errors.unknown_path()
        return Target(resource, namespace, name, subresource)
    tail = "/".join(rest[3:]) + ("/" if raw_path.endswith("/") and len(rest) > 3 else "")
    return Target(resource, namespace, name, subresource, "/" + tail)
