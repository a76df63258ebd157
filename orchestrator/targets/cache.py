"""Writes to a Redis-compatible cache: a canary key, and the flush."""

from __future__ import annotations

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from orchestrator.errors import TargetError

TIMEOUT_S = 2.0


class Cache:
    """One cache. Every call raises TargetError within its time-out."""

    def __init__(self, url: str) -> None:
        # redis-py repeats by default, with back-off; a write of ours happens once or is an error.
        self._redis = Redis.from_url(
            url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S, retry=Retry(NoBackoff(), 0), decode_responses=True
        )

    async def close(self) -> None:
        await self._redis.aclose()

    async def put(self, key: str, value: str, *, ttl_s: int) -> None:
        try:
            await self._redis.set(key, value, ex=ttl_s)
        except (RedisError, OSError) as error:
            raise TargetError(f"SET {key}: {type(error).__name__}: {error}") from error

    async def get(self, key: str) -> str | None:
        try:
            value = await self._redis.get(key)
        except (RedisError, OSError) as error:
            raise TargetError(f"GET {key}: {type(error).__name__}: {error}") from error
        return None if value is None else str(value)

    async def flush_all(self) -> None:
        try:
            await self._redis.flushall()
        except (RedisError, OSError) as error:
            raise TargetError(f"FLUSHALL: {type(error).__name__}: {error}") from error
