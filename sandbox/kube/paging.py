"""Lists in pages: every page shows the state in which the first one was taken."""

import base64
import binascii
from dataclasses import dataclass

import orjson

from sandbox.kube import errors
from sandbox.kube.objects import Object, name_of, namespace_of
from sandbox.kube.selectors import Predicate
from sandbox.kube.store import Key, Store

_FORM = "meta.k8s.io/v1"
_TOO_OLD = (
    "The provided continue parameter is too old to display a consistent list result. "
    "You can start a new list without the continue parameter."
)


@dataclass(frozen=True, slots=True)
class Page:
    """Objects, and the ListMeta that goes with them."""

    items: list[Object]
    metadata: Object


@dataclass(frozen=True, slots=True)
class PageQuery:
    """Which objects, how many at most (0: all), and the token that the page before gave ('' for the first page)."""

    resource: str
    namespace: str
    predicate: Predicate
    limit: int = 0
    token: str = ""


def read_page(store: Store, query: PageQuery) -> Page:
    """One page. Raises ApiError 400 for a token that cannot be read, 410 for a state that is forgotten."""
    revision, after = _read(query.token) if query.token else (store.revision, ("", ""))
    found = [obj for obj in _state(store, query, revision) if _key(obj) > after]
    items = found[: query.limit] if query.limit > 0 else found
    metadata: Object = {"resourceVersion": str(revision)}
    if len(items) < len(found):
        metadata["continue"] = _write(revision, _key(items[-1]))
    return Page(items, metadata)


def _state(store: Store, query: PageQuery, revision: int) -> list[Object]:
    if revision == store.revision:
        return store.list(query.resource, query.namespace, query.predicate)
    try:
        objects = store.at(query.resource, revision)
    except errors.ApiError:
        raise errors.ApiError(410, "Expired", _TOO_OLD) from None
    chosen = [obj for _, obj in sorted(objects.items()) if query.predicate(obj)]
    return [obj for obj in chosen if not query.namespace or namespace_of(obj) == query.namespace]


def _key(obj: Object) -> Key:
    return namespace_of(obj), name_of(obj)


def _write(revision: int, last: Key) -> str:
    token = {"v": _FORM, "rv": revision, "start": "/".join(last)}
    return base64.urlsafe_b64encode(orjson.dumps(token)).decode().rstrip("=")


def _read(token: str) -> tuple[int, Key]:
    try:
        state = orjson.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        namespace, _, name = state["start"].partition("/")
        return int(state["rv"]), (namespace, name)
    except (binascii.Error, ValueError, KeyError, TypeError, AttributeError) as error:
        raise errors.bad_request(f"continue key is not valid: {error}") from None
