"""Discovery's kept pages, in Redis: under a digest of what was asked, or under a number that Redis counts."""

import time
from dataclasses import dataclass

from sandbox.services.discovery.query import Query
from sandbox.services.guard import StoreError
from sandbox.services.store import Store
from sandbox.settings import Settings


@dataclass(frozen=True, slots=True)
class Page:
    """A kept answer, its age and the fallbacks that went into it."""

    body: bytes
    age_s: int
    degraded: list[str]


class KeptPages:
    """Pages that everybody shares; Redis away means that none is there and none is kept."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        self._numbers: dict[str, int] = {}

    async def get(self, query: Query) -> Page | None:
        """The kept page of a query."""
        key = self._known_key(query)
        try:
            value = await self._store.get(key) if key else None
        except StoreError:
            return None
        if value is None:
            return None
        head, _, body = value.partition(b"\n")
        written, *degraded = head.decode().split()
        return Page(body, max(0, int(time.time() - float(written))), degraded)

    async def put(self, query: Query, body: bytes, degraded: list[str], beside: list[tuple[str, bytes, int]]) -> None:
        """Keeps a page, and in the same round trip the rows `beside` it."""
        value = f"{time.time():.3f} {' '.join(degraded)}\n".encode() + body
        ttl_s = self._settings.search_unranked_cache_s if degraded else self._settings.search_cache_s
        try:
            key = self._known_key(query) or await self._numbered_key(query)
            await self._store.put_all([*beside, (key, value, ttl_s)])
        except StoreError:
            return

    def _known_key(self, query: Query) -> str | None:
        if not self._settings.search_cache_by_number:
            return query.cache_key
        number = self._numbers.get(query.cache_key)
        return None if number is None else _key(number)

    async def _numbered_key(self, query: Query) -> str:
        number = self._numbers[query.cache_key] = await self._store.increment("search:pages")
        return _key(number)


def _key(number: int) -> str:
    return f"search:page:{number}"
