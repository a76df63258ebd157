"""A watch: changes of one resource that pass a selector, from a revision on, as a stream of events."""

import asyncio
import math
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass

from sandbox.kube import errors
from sandbox.kube.objects import Object, namespace_of
from sandbox.kube.resources import Resource
from sandbox.kube.selectors import Predicate
from sandbox.kube.store import Change, Store

_BACKLOG = 4000
_BOOKMARK_S = 60.0
_LAST_BOOKMARK_S = 2.0
"""Before the watch's time is over; between them one comes every `_BOOKMARK_S`."""
_INITIAL_EVENTS_END = "k8s.io/initial-events-end"


@dataclass(frozen=True, slots=True)
class WatchQuery:
    """`revision` None starts with an ADDED for every object that is there; `initial_end` marks the end of those."""

    resource: Resource
    namespace: str
    predicate: Predicate
    revision: int | None = None
    timeout_s: float = 1800.0
    bookmarks: bool = False
    initial_end: bool = False


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """type is ADDED, MODIFIED, DELETED or BOOKMARK."""

    type: str
    object: Object


class Watch:
    """Subscribed from its making on; `close` ends that. Raises ApiError 410 when the revision is too old."""

    def __init__(self, store: Store, query: WatchQuery) -> None:
        self._store = store
        self._query = query
        self._queue: asyncio.Queue[Change | None] = asyncio.Queue()
        self._first = self._initial()
        self._unsubscribe: Callable[[], None] = store.subscribe(query.resource.key, self._on_change)

    def close(self) -> None:
        self._unsubscribe()

    async def events(self) -> AsyncGenerator[WatchEvent, None]:
        """The events until the time is over, or until the reader is too far behind."""
        for event in self._first:
            yield event
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._query.timeout_s
        bookmark = self._next_bookmark(loop.time(), deadline)
        while loop.time() < deadline:
            try:
                # What waits already is taken at once, also when a bookmark is due.
                async with asyncio.timeout_at(min(bookmark, deadline)):
                    change = await self._queue.get()
            except TimeoutError:
                # A bookmark promises that everything before it was shown.
                if bookmark < deadline and self._queue.empty():
                    yield self._bookmark({})
                    bookmark = self._next_bookmark(bookmark, deadline)
                continue
            if change is None:
                return
            translated = self._translated(change)
            if translated is not None:
                yield translated

    def _next_bookmark(self, last: float, deadline: float) -> float:
        """The instant of the next one, as the API server sets them: each minute, and 2 s before the end."""
        if not self._query.bookmarks or last >= deadline - _LAST_BOOKMARK_S:
            return math.inf
        return min(last + _BOOKMARK_S, deadline - _LAST_BOOKMARK_S)

    def _on_change(self, change: Change) -> None:
        if self._queue.qsize() < _BACKLOG:
            self._queue.put_nowait(change)
        else:
            self._queue.put_nowait(None)
            self.close()

    def _initial(self) -> list[WatchEvent]:
        query = self._query
        if query.revision is not None:
            changes = self._store.since(query.resource.key, query.revision)
            return [event for change in changes if (event := self._translated(change)) is not None]
        objects = self._store.list(query.resource.key, query.namespace, query.predicate)
        events = [WatchEvent("ADDED", obj) for obj in objects]
        if query.initial_end:
            events.append(self._bookmark({_INITIAL_EVENTS_END: "true"}))
        return events

    def _bookmark(self, annotations: dict[str, str]) -> WatchEvent:
        metadata: Object = {"resourceVersion": str(self._store.revision), "creationTimestamp": None}
        if annotations:
            metadata["annotations"] = annotations
        resource = self._query.resource
        return WatchEvent("BOOKMARK", {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": metadata})

    def _translated(self, change: Change) -> WatchEvent | None:
        """The change as this selector sees it: an object that enters is ADDED, one that leaves is DELETED."""
        query = self._query
        if query.namespace and namespace_of(change.object) != query.namespace:
            return None
        was = change.previous is not None and query.predicate(change.previous)
        if change.type == "DELETED":
            return WatchEvent("DELETED", change.object) if was else None
        if query.predicate(change.object):
            return WatchEvent("MODIFIED" if was else "ADDED", change.object)
        if not was or change.previous is None:
            return None
        metadata = {**change.previous["metadata"], "resourceVersion": str(change.revision)}
        return WatchEvent("DELETED", {**change.previous, "metadata": metadata})


def error_event(error: errors.ApiError) -> Object:
    """A refusal as an event, for a stream that has no other way to say it."""
    return {"type": "ERROR", "object": error.status()}
