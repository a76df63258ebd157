"""Server-side apply: which manager applied which field, and what follows from it.

A manager owns the fields of its last apply. Another that applies another value conflicts, unless it forces and takes them; what a
manager no longer applies, and nobody else does, goes. Changes by other verbs own nothing, and no `managedFields` are shown.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sandbox.kube import errors, patches
from sandbox.kube.objects import Object, uid_of

Path = tuple[str, ...]
"""Steps to a field: '.data', '.containers', '[name="main"]', '.image'."""
Fields = dict[Path, Any]

_IDENTITY = {(".apiVersion",), (".kind",), (".metadata", ".name"), (".metadata", ".namespace")}


Managers = dict[str, set[Path]]


@dataclass(frozen=True, slots=True)
class Applied:
    """What an apply would make: the object, and who owns which field then."""

    object: Object
    managers: Managers


class Owners:
    """The fields of every manager, by the uid of the object."""

    def __init__(self) -> None:
        self._by_uid: dict[str, Managers] = {}

    def apply(self, current: Object, applied: Object, manager: str, *, force: bool) -> Applied:
        """Remembers nothing yet. Raises ApiError 409 where fields of others would get another value and it is not forced."""
        before = self._by_uid.get(uid_of(current), {})
        wanted, there = fields_of(applied), fields_of(current)
        changed = {path for path, value in wanted.items() if path in there and there[path] != value}
        conflicts = [(other, path) for other, paths in before.items() if other != manager for path in sorted(paths & changed)]
        if conflicts and not force:
            raise errors.apply_conflict([(other, "".join(path)) for other, path in conflicts])
        managers = {other: paths - changed for other, paths in before.items() if other != manager}
        result = patches.apply_patch(patches.APPLY, current, applied)
        dropped = before.get(manager, set()).difference(wanted, *managers.values())
        # What is in an item of a list goes before the item itself.
        for path in sorted(dropped, key=len, reverse=True):
            _remove(result, path)
        return Applied(result, {**managers, manager: set(wanted)})

    def remember(self, obj: Object, managers: Managers) -> None:
        self._by_uid[uid_of(obj)] = managers

    def forget(self, obj: Object) -> None:
        self._by_uid.pop(uid_of(obj), None)


def fields_of(obj: Object) -> Fields:
    """Every field that has a value of its own, but for those that say which object it is."""
    return {path: value for path, value in _leaves((), obj) if path not in _IDENTITY}


def _leaves(path: Path, value: Any) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves((*path, f".{key}"), inner)
        return
    key = patches.merge_key(path[-1][1:], value) if isinstance(value, list) and value else None
    if key is None:
        yield path, value
        return
    for item in value:
        step = (*path, _item_step(key, item))
        yield step, item.get(key)
        rest = {name: inner for name, inner in item.items() if name != key}
        if rest:
            yield from _leaves(step, rest)


def _item_step(key: str, item: Object) -> str:
    return f'[{key}="{item.get(key)}"]'


def _remove(obj: Any, path: Path) -> None:
    """Take a field out, and the object that is empty without it; with the key of an item the item, for nobody has applied it any more.

    What is left in it then are defaults.
    """
    step, *rest = path
    if step.startswith("."):
        _remove_member(obj, step[1:], tuple(rest))
        return
    key = step[1:].partition("=")[0]
    for item in [item for item in obj if _item_step(key, item) == step]:
        if rest:
            _remove(item, tuple(rest))
        else:
            obj.remove(item)


def _remove_member(obj: Any, key: str, rest: Path) -> None:
    if not isinstance(obj, dict) or key not in obj:
        return
    if rest:
        _remove(obj[key], rest)
    if not rest or not obj[key]:
        del obj[key]
