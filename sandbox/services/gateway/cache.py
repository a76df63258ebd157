"""The gateway's response cache: answers to anonymous GET requests, kept in Redis."""

import time
from dataclasses import dataclass
from hashlib import sha256

from sandbox.services.guard import StoreError
from sandbox.services.store import Store
from sandbox.settings import Settings


@dataclass(frozen=True, slots=True)
class Kept:
    """A kept answer and its age in seconds."""

    body: bytes
    age_s: int


class ResponseCache:
    """Kept by path and query; Redis away means a miss."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings

    async def get(self, target: str) -> Kept | None:
        """The kept answer for a path with its query."""
        try:
            value = await self._store.get(_key(target), limit_s=self._settings.gateway_redis_limit_s)
        except StoreError:
            return None
        if value is None:
            return None
        written, _, body = value.partition(b"\n")
        return Kept(body, max(0, int(time.time() - float(written))))

    async def put(self, target: str, body: bytes, *, age_s: int) -> None:
        """Keeps an answer that was `age_s` old already; when Redis is away it is not kept."""
        content = target.startswith("/api/v1/content/")
        lives_s = self._settings.gateway_content_cache_s if content else self._settings.gateway_other_cache_s
        ttl_s = int(lives_s) - age_s
        if ttl_s <= 0:
            return
        value = f"{time.time() - age_s:.3f}\n".encode() + body
        try:
            await self._store.put(_key(target), value, ttl_s=ttl_s)
        except StoreError:
            return


def etag(body: bytes) -> str:
    """The entity tag of a body."""
    return f'"{sha256(body).hexdigest()[:16]}"'


def _key(target: str) -> str:
    return f"response:{sha256(target.encode()).hexdigest()}"
