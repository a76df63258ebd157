"""Helpers to read and build Kubernetes objects, which are plain dictionaries here."""

import copy
import hashlib
import random
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import orjson

Object = dict[str, Any]

# The API server's own alphabet: no vowels, so that no words arise by chance.
_SUFFIX_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


def now() -> str:
    """This instant as metav1.Time: RFC 3339, whole seconds, UTC."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def format_time(instant_s: float) -> str:
    """Seconds since the epoch as metav1.Time."""
    return datetime.fromtimestamp(instant_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_time(text: str) -> datetime:
    """A metav1.Time or MicroTime as an aware datetime."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def name_of(obj: Object) -> str:
    return str(obj["metadata"]["name"])


def namespace_of(obj: Object) -> str:
    return str(obj["metadata"].get("namespace", ""))


def uid_of(obj: Object) -> str:
    return str(obj["metadata"]["uid"])


def labels_of(obj: Object) -> dict[str, str]:
    return obj["metadata"].get("labels") or {}


def is_deleting(obj: Object) -> bool:
    return "deletionTimestamp" in obj["metadata"]


def clone(obj: Object) -> Object:
    """A copy that may be changed; objects in the store may not."""
    return copy.deepcopy(obj)


def field(obj: Object, path: str) -> Any:
    """The value at a dotted path, or None."""
    value: Any = obj
    for part in path.split("."):
        if not isinstance(value, dict):
            return None
        value = value.get(part)
    return value


def random_suffix(length: int = 5) -> str:
    return "".join(random.choices(_SUFFIX_ALPHABET, k=length))


def stable_suffix(value: Any, length: int = 10) -> str:
    """A suffix that depends on the value alone, for pod-template-hash and the like."""
    digest = hashlib.sha256(orjson.dumps(value, option=orjson.OPT_SORT_KEYS)).digest()
    return "".join(_SUFFIX_ALPHABET[byte % len(_SUFFIX_ALPHABET)] for byte in digest[:length])


def owner_reference(owner: Object) -> dict[str, Any]:
    """The reference by which a controller marks what it made."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": name_of(owner),
        "uid": uid_of(owner),
        "controller": True,
        "blockOwnerDeletion": True,
    }


def controller_uid(obj: Object) -> str | None:
    """The uid of the controller that owns the object, if one does."""
    for reference in obj["metadata"].get("ownerReferences") or ():
        if reference.get("controller"):
            return str(reference["uid"])
    return None


def object_reference(obj: Object) -> dict[str, str]:
    """A reference to the object as events carry it."""
    reference = {
        "apiVersion": obj["apiVersion"],
        "kind": obj["kind"],
        "name": name_of(obj),
        "uid": uid_of(obj),
        "resourceVersion": obj["metadata"].get("resourceVersion", ""),
    }
    if namespace_of(obj):
        reference["namespace"] = namespace_of(obj)
    return reference


def condition(obj: Object, kind: str) -> dict[str, Any] | None:
    """The condition of that type in the object's status, if it is there."""
    for entry in obj.get("status", {}).get("conditions") or ():
        if entry["type"] == kind:
            return dict(entry)
    return None


def condition_true(obj: Object, kind: str) -> bool:
    found = condition(obj, kind)
    return found is not None and found["status"] == "True"


def pod_ready(pod: Object) -> bool:
    """Ready condition true; a pod under deletion may still be ready."""
    return condition_true(pod, "Ready")


def pod_active(pod: Object) -> bool:
    """Counts as a replica: neither finished nor under deletion."""
    return not is_deleting(pod) and pod.get("status", {}).get("phase") not in ("Succeeded", "Failed")


def merge_conditions(old: Iterable[Object] | None, new: Iterable[Object]) -> list[Object]:
    """The new conditions, each with the old transition time where its status did not change."""
    before = {entry["type"]: entry for entry in old or ()}
    merged = []
    for entry in new:
        previous = before.get(entry["type"])
        unchanged = previous is not None and previous["status"] == entry["status"]
        since = previous["lastTransitionTime"] if previous is not None and unchanged else now()
        merged.append({**entry, "lastTransitionTime": since})
    return merged
