"""The objects, one revision counter for all of them, and the log of changes that watches replay."""

from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sandbox.kube import errors
from sandbox.kube.objects import Object, clone, name_of, namespace_of
from sandbox.kube.selectors import Predicate

Key = tuple[str, str]
"""Namespace ('' for cluster-wide kinds) and name."""

_LOG_LENGTH = 2000
_BEGINNING = 1000
"""The first revision. What clients ask for before it is forgotten, as in a cluster that is older than its last compaction."""


@dataclass(frozen=True, slots=True)
class Change:
    """One write: type is ADDED, MODIFIED or DELETED; `previous` is the object as it was before."""

    revision: int
    type: str
    object: Object
    previous: Object | None


Listener = Callable[[Change], None]


class Store:
    """Objects by resource key, namespace and name. What it returns must not be changed: `clone` first.

    Listeners run inside the write, in the order of subscription, and see all changes in the order of their revisions.
    """

    def __init__(self) -> None:
        self.revision = _BEGINNING
        self._objects: dict[str, dict[Key, Object]] = defaultdict(dict)
        self._log: dict[str, deque[Change]] = defaultdict(lambda: deque(maxlen=_LOG_LENGTH))
        self._forgotten: dict[str, int] = defaultdict(lambda: _BEGINNING)
        self._listeners: dict[str, list[Listener]] = defaultdict(list)
        self._undelivered: deque[tuple[str, Change]] = deque()
        self._delivering = False

    def get(self, resource: str, namespace: str, name: str) -> Object | None:
        return self._objects[resource].get((namespace, name))

    def list(self, resource: str, namespace: str = "", predicate: Predicate | None = None) -> list[Object]:
        """Sorted by namespace and name; namespace '' means all."""
        rows = sorted(self._objects[resource].items())
        return [obj for (space, _), obj in rows if (not namespace or space == namespace) and (predicate is None or predicate(obj))]

    def count(self, resource: str) -> int:
        return len(self._objects[resource])

    def put(self, resource: str, obj: Object) -> Object:
        """Write an object and give it the next revision; a write that changes nothing is no change."""
        key = (namespace_of(obj), name_of(obj))
        previous = self._objects[resource].get(key)
        if previous is not None:
            obj["metadata"]["resourceVersion"] = previous["metadata"]["resourceVersion"]
            if obj == previous:
                return previous
        self.revision += 1
        obj["metadata"]["resourceVersion"] = str(self.revision)
        self._objects[resource][key] = obj
        self._publish(resource, Change(self.revision, "ADDED" if previous is None else "MODIFIED", obj, previous))
        return obj

    def remove(self, resource: str, namespace: str, name: str) -> Object | None:
        """Take an object out; its last form carries the revision of the removal."""
        previous = self._objects[resource].pop((namespace, name), None)
        if previous is None:
            return None
        self.revision += 1
        last = clone(previous)
        last["metadata"]["resourceVersion"] = str(self.revision)
        self._publish(resource, Change(self.revision, "DELETED", last, previous))
        return last

    def since(self, resource: str, revision: int) -> Sequence[Change]:
        """The changes after a revision. Raises ApiError 410 when some of them are forgotten."""
        if revision < self._forgotten[resource]:
            raise errors.expired(revision, self._forgotten[resource])
        return [change for change in self._log[resource] if change.revision > revision]

    def at(self, resource: str, revision: int) -> dict[Key, Object]:
        """The objects as they were at a revision. Raises ApiError 410 when changes since then are forgotten."""
        objects = dict(self._objects[resource])
        for change in reversed(self.since(resource, revision)):
            key = (namespace_of(change.object), name_of(change.object))
            if change.previous is None:
                del objects[key]
            else:
                objects[key] = change.previous
        return objects

    def subscribe(self, resource: str, listener: Listener) -> Callable[[], None]:
        """Call the listener with every change from now on; returns the way to end that."""
        listeners = self._listeners[resource]
        listeners.append(listener)

        def unsubscribe() -> None:
            if listener in listeners:
                listeners.remove(listener)

        return unsubscribe

    def _publish(self, resource: str, change: Change) -> None:
        history = self._log[resource]
        if len(history) == history.maxlen:
            self._forgotten[resource] = history[0].revision
        history.append(change)
        self._undelivered.append((resource, change))
        self._deliver()

    def _deliver(self) -> None:
        # A listener may write: its change waits here until every listener has seen the one before it.
        if self._delivering:
            return
        self._delivering = True
        try:
            while self._undelivered:
                resource, change = self._undelivered.popleft()
                for listener in tuple(self._listeners[resource]):
                    listener(change)
        finally:
            self._delivering = False
