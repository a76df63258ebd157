"""What a client learns before it asks: versions, groups, resources, and just enough OpenAPI."""

from collections.abc import Iterator

from sandbox.kube import errors, resources
from sandbox.kube.nodes import VERSION
from sandbox.kube.objects import Object
from sandbox.kube.resources import Resource

AGGREGATED_TYPE = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_PATCH_TYPES = ("application/json-patch+json", "application/merge-patch+json", "application/strategic-merge-patch+json")


def document(path: str, *, aggregated: bool) -> Object | None:
    """The document at a discovery path, or None when the path is none. Raises ApiError 404 for an unknown group."""
    parts = path.strip("/").split("/")
    match parts:
        case ["version"]:
            return _version()
        case ["api"]:
            return _aggregated(lambda group: not group) if aggregated else _core_versions()
        case ["apis"]:
            return _aggregated(bool) if aggregated else _groups()
        case ["api", "v1"]:
            return _resource_list("", "v1")
        case ["apis", group]:
            return _known(group, _group(group))
        case ["apis", group, version]:
            return _resource_list(group, version)
        case ["openapi", "v3", *rest]:
            return _openapi("/".join(rest))
        case _:
            return None


def _known(group: str, answer: Object) -> Object:
    if group not in _group_names():
        raise errors.unknown_path()
    return answer


def _version() -> Object:
    major, minor, _ = VERSION.lstrip("v").split(".")
    return {
        "major": major,
        "minor": minor,
        "gitVersion": VERSION,
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "2026-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "",
        "platform": "linux/amd64",
    }


def _core_versions() -> Object:
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}


def _group_names() -> list[str]:
    return list(dict.fromkeys(resource.group for resource in resources.ALL if resource.group))


def _group(name: str) -> Object:
    version = {"groupVersion": f"{name}/v1", "version": "v1"}
    return {"kind": "APIGroup", "apiVersion": "v1", "name": name, "versions": [version], "preferredVersion": version}


def _groups() -> Object:
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(name) for name in _group_names()]}


def _in_group(group: str, version: str = "v1") -> list[Resource]:
    found = [entry for entry in resources.ALL if (entry.group, entry.version) == (group, version)]
    if not found:
        raise errors.unknown_path()
    return found


def _resource_list(group: str, version: str) -> Object:
    rows = [row for resource in _in_group(group, version) for row in _rows(resource)]
    group_version = f"{group}/{version}" if group else version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": rows}


def _rows(resource: Resource) -> Iterator[Object]:
    yield {
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": list(resource.verbs),
        "shortNames": list(resource.short_names),
        "categories": list(resource.categories),
    }
    for subresource in resource.subresources:
        group, version, kind = _subresource_kind(resource, subresource)
        row = {
            "name": f"{resource.plural}/{subresource}",
            "singularName": "",
            "namespaced": resource.namespaced,
            "kind": kind,
            "verbs": _subresource_verbs(subresource),
        }
        yield row if kind == resource.kind else {**row, "group": group, "version": version}


def _subresource_kind(resource: Resource, subresource: str) -> tuple[str, str, str]:
    if subresource == "scale":
        return "autoscaling", "v1", "Scale"
    if subresource == "eviction":
        return "policy", "v1", "Eviction"
    return resource.group, resource.version, resource.kind


def _subresource_verbs(subresource: str) -> list[str]:
    verbs = {"log": ["get"], "eviction": ["create"], "proxy": ["create", "delete", "get", "patch", "update"]}
    return verbs.get(subresource, ["get", "patch", "update"])


def _aggregated(wanted: object) -> Object:
    assert callable(wanted)
    groups = [group for group in ("", *_group_names()) if wanted(group)]
    items = [
        {
            "metadata": {"name": group or None, "creationTimestamp": None},
            "versions": [{"version": "v1", "freshness": "Current", "resources": _aggregated_rows(group)}],
        }
        for group in groups
    ]
    return {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items}


def _aggregated_rows(group: str) -> list[Object]:
    rows = []
    for resource in _in_group(group):
        kind = {"group": resource.group, "version": resource.version, "kind": resource.kind}
        row: Object = {
            "resource": resource.plural,
            "responseKind": kind,
            "scope": "Namespaced" if resource.namespaced else "Cluster",
            "singularResource": resource.singular,
            "verbs": list(resource.verbs),
            "shortNames": list(resource.short_names),
            "categories": list(resource.categories),
            "subresources": [_aggregated_subresource(resource, name) for name in resource.subresources],
        }
        rows.append(row)
    return rows


def _aggregated_subresource(resource: Resource, name: str) -> Object:
    group, version, kind = _subresource_kind(resource, name)
    response_kind = {"group": group, "version": version, "kind": kind}
    return {"subresource": name, "responseKind": response_kind, "verbs": _subresource_verbs(name)}


def _openapi(path: str) -> Object:
    if not path:
        groups = ["api/v1", *(f"apis/{name}/v1" for name in _group_names())]
        return {"paths": {group: {"serverRelativeURL": f"/openapi/v3/{group}?hash=1"} for group in groups}}
    parts = path.split("/")
    group = parts[1] if parts[0] == "apis" and len(parts) == 3 else ""
    paths = dict(_openapi_path(path, resource) for resource in _in_group(group) if "patch" in resource.verbs)
    return {"openapi": "3.0.0", "info": {"title": "Kubernetes", "version": VERSION}, "paths": paths, "components": {"schemas": {}}}


def _openapi_path(prefix: str, resource: Resource) -> tuple[str, Object]:
    """kubectl apply looks for the query parameter `fieldValidation` of a kind's PATCH, and for no more than that."""
    kind = {"group": resource.group, "version": resource.version, "kind": resource.kind}
    content = {media: {"schema": {"type": "object"}} for media in _PATCH_TYPES}
    operation = {
        "x-kubernetes-action": "patch",
        "x-kubernetes-group-version-kind": kind,
        "parameters": [{"name": "fieldValidation", "in": "query", "schema": {"type": "string"}}],
        "requestBody": {"content": content},
        "responses": {"200": {"description": "OK"}},
    }
    middle = "namespaces/{namespace}/" if resource.namespaced else ""
    return f"/{prefix}/{middle}{resource.plural}/{{name}}", {"patch": operation}
