"""The four ways to change part of an object: merge, strategic merge, JSON patch, and apply."""

import copy
from collections.abc import Callable
from typing import Any

import yaml

from sandbox.kube import errors
from sandbox.kube.objects import Object

MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
JSON = "application/json-patch+json"
APPLY = "application/apply-patch+yaml"
CONTENT_TYPES = (JSON, MERGE, STRATEGIC, APPLY)

# Lists that a strategic merge joins by a key of their items; other lists are replaced whole.
_MERGE_KEYS: dict[str, tuple[str, ...]] = {
    "containers": ("name",),
    "initContainers": ("name",),
    "env": ("name",),
    "ports": ("containerPort", "port"),
    "volumes": ("name",),
    "volumeMounts": ("mountPath",),
    "conditions": ("type",),
    "addresses": ("type",),
    "taints": ("key",),
    "ownerReferences": ("uid",),
    "imagePullSecrets": ("name",),
    "secrets": ("name",),
}
_UNION_LISTS = ("finalizers",)


def apply_patch(content_type: str, current: Object, patch: Any) -> Object:
    """The object after the patch; `current` stays as it is. Raises ApiError 400, 415 or 422."""
    target = copy.deepcopy(current)
    if content_type == JSON:
        return json_patch(target, patch)
    if not isinstance(patch, dict):
        raise errors.bad_request("the patch must be an object")
    if content_type == MERGE:
        return dict(merge(target, patch))
    if content_type in (STRATEGIC, APPLY):
        return strategic_merge(target, patch)
    raise errors.unsupported_media_type(content_type, ", ".join(CONTENT_TYPES))


def parse(content_type: str, body: bytes) -> Any:
    """The patch in a request's body. JSON is YAML, so one reader serves both. Raises ApiError 400."""
    if content_type not in CONTENT_TYPES:
        raise errors.unsupported_media_type(content_type, ", ".join(CONTENT_TYPES))
    try:
        return yaml.safe_load(body)
    except yaml.YAMLError as error:
        raise errors.bad_request(f"error decoding patch: {error}") from None


def merge(target: Any, patch: Any) -> Any:
    """RFC 7386: null deletes, objects merge, the rest replaces."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge(result.get(key), value)
    return result


def strategic_merge(target: Any, patch: Object) -> Object:
    """Kubernetes' merge: as RFC 7386, but well-known lists are joined by key; `$patch` directives are honoured."""
    if patch.get("$patch") == "replace":
        return {key: value for key, value in patch.items() if key != "$patch"}
    result = dict(target) if isinstance(target, dict) else {}
    retained = patch.get("$retainKeys")
    if retained is not None:
        result = {key: value for key, value in result.items() if key in retained}
    for key, value in patch.items():
        if key.startswith("$deleteFromPrimitiveList/"):
            name = key.partition("/")[2]
            result[name] = [item for item in result.get(name) or () if item not in value]
        elif not key.startswith("$"):
            _merge_member(result, key, value)
    return result


def _merge_member(result: Object, key: str, value: Any) -> None:
    if value is None or (isinstance(value, dict) and value.get("$patch") == "delete"):
        result.pop(key, None)
    elif isinstance(value, dict):
        result[key] = strategic_merge(result.get(key), value)
    elif isinstance(value, list):
        result[key] = _merge_list(key, result.get(key) or [], value)
    else:
        result[key] = value


def _merge_list(name: str, old: list[Any], patch: list[Any]) -> list[Any]:
    if name in _UNION_LISTS:
        return old + [item for item in patch if item not in old]
    key = merge_key(name, old + patch)
    if key is None or {"$patch": "replace"} in patch:
        return [item for item in patch if item != {"$patch": "replace"}]
    merged = list(old)
    for item in patch:
        _merge_item(merged, key, item)
    return merged


def merge_key(name: str, items: list[Any]) -> str | None:
    """The key by which items of a list of this name are told apart; None for a list that is one value."""
    for key in _MERGE_KEYS.get(name, ()):
        if any(isinstance(item, dict) and key in item for item in items):
            return key
    return None


def _merge_item(merged: list[Any], key: str, item: Object) -> None:
    index = next((i for i, old in enumerate(merged) if old.get(key) == item.get(key)), None)
    if item.get("$patch") == "delete":
        if index is not None:
            merged.pop(index)
    elif index is None:
        merged.append(strategic_merge({}, item))
    else:
        merged[index] = strategic_merge(merged[index], item)


def json_patch(target: Object, operations: Any) -> Object:
    """RFC 6902. Raises ApiError 422 where a path is not there or a test fails."""
    if not isinstance(operations, list):
        raise errors.bad_request("a JSON patch is a list of operations")
    document: Object = {"": target}
    for operation in operations:
        try:
            _OPERATIONS[operation["op"]](document, operation)
        except (KeyError, IndexError, ValueError, TypeError) as error:
            message = f"the server rejected our request due to an error in our request: {operation}: {error!r}"
            raise errors.ApiError(422, "Invalid", message, {}) from None
    return dict(document[""])


def _walk(document: Any, pointer: str) -> tuple[Any, Any]:
    """The container that a JSON pointer ends in, and the last step as its key or index."""
    parts = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")]
    node = document
    for part in parts[:-1]:
        node = node[int(part)] if isinstance(node, list) else node[part]
    if isinstance(node, list):
        return node, len(node) if parts[-1] == "-" else int(parts[-1])
    return node, parts[-1]


def _read(document: Any, pointer: str) -> Any:
    node, step = _walk(document, pointer)
    return node[step]


def _put(document: Any, pointer: str, value: Any) -> None:
    node, step = _walk(document, pointer)
    if isinstance(node, list):
        node.insert(step, value)
    else:
        node[step] = value


def _take(document: Any, pointer: str) -> Any:
    node, step = _walk(document, pointer)
    return node.pop(step)


def _add(document: Any, operation: Object) -> None:
    _put(document, operation["path"], operation["value"])


def _remove(document: Any, operation: Object) -> None:
    _take(document, operation["path"])


def _replace(document: Any, operation: Object) -> None:
    node, step = _walk(document, operation["path"])
    node[step]  # a replaced member must exist
    node[step] = operation["value"]


def _move(document: Any, operation: Object) -> None:
    _put(document, operation["path"], _take(document, operation["from"]))


def _copy(document: Any, operation: Object) -> None:
    _put(document, operation["path"], copy.deepcopy(_read(document, operation["from"])))


def _test(document: Any, operation: Object) -> None:
    if _read(document, operation["path"]) != operation["value"]:
        raise ValueError("test failed")


_OPERATIONS: dict[str, Callable[[Any, Object], None]] = {
    "add": _add,
    "remove": _remove,
    "replace": _replace,
    "move": _move,
    "copy": _copy,
    "test": _test,
}
