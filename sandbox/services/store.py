"""Redis behind time-outs and a breaker: every call ends soon, with an answer or a StoreError."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from sandbox.services.breaker import Rules
from sandbox.services.guard import Guard, StoreError
from sandbox.services.metrics import Metrics
from sandbox.settings import Settings

T = TypeVar("T")


class Store:
    """The shared cache of one service; `limit_s` bounds a call with all its tries."""

    def __init__(self, url: str, settings: Settings, metrics: Metrics) -> None:
        self.read_only = False
        self._settings = settings
        self._metrics = metrics
        self._redis = _client(url, settings.redis_timeout_s)
        rules = Rules(settings.redis_breaker_failures, settings.redis_breaker_open_s, probes=1)
        self.guard = Guard("redis", rules, metrics)

    async def close(self) -> None:
        """Gives the connections back."""
        await self._redis.aclose()

    async def get(self, key: str, *, limit_s: float | None = None) -> bytes | None:
        """The value of a key, None when there is none."""
        return cast(bytes | None, await self._call(lambda: self._redis.get(key), limit_s))

    async def put(self, key: str, value: bytes, *, ttl_s: int) -> None:
        """Keeps a value for `ttl_s` seconds."""
        if self.read_only:
            return
        await self._call(lambda: self._redis.set(key, value, ex=ttl_s), self._settings.redis_write_limit_s)

    async def put_all(self, rows: list[tuple[str, bytes, int]]) -> None:
        """Keeps several (key, value, seconds to live) in one round trip."""
        if self.read_only:
            return
        pipeline = self._redis.pipeline(transaction=False)
        for key, value, ttl_s in rows:
            pipeline.set(key, value, ex=ttl_s)
        await self._call(pipeline.execute, self._settings.redis_write_limit_s)

    async def increment(self, key: str) -> int:
        """Counts a key up; the first value is 1."""
        return int(await self._call(lambda: self._redis.incr(key), self._settings.redis_write_limit_s))

    async def reconnect(self, *, pings: int) -> None:
        """Drops the connections and asks a new one so often whether the server is there."""
        await self._redis.connection_pool.disconnect(inuse_connections=False)
        for _ in range(pings):
            await self._call(self._redis.ping, None)

    async def delete(self, *keys: str) -> None:
        """Forgets keys."""
        await self._call(lambda: self._redis.delete(*keys), None)

    async def script(self, text: str, keys: list[str], values: list[int], *, limit_s: float | None = None) -> Any:
        """Runs a script in the server."""
        return await self._call(lambda: self._redis.eval(text, len(keys), *keys, *values), limit_s)

    async def _call(self, command: Callable[[], Awaitable[T]], limit_s: float | None) -> T:
        permit = self.guard.acquire()
        if permit is None:
            raise StoreError("redis is skipped, its breaker is open")
        ok: bool | None = None
        try:
            async with asyncio.timeout(limit_s):
                result = await self._tries(command)
            ok = True
        except (RedisError, OSError, TimeoutError) as error:
            ok = False
            raise StoreError(f"redis: {type(error).__name__}: {error}") from error
        finally:
            self.guard.record(permit, ok=ok)
        return result

    async def _tries(self, command: Callable[[], Awaitable[T]]) -> T:
        for retry in range(self._settings.redis_retries):
            try:
                return await self._try(command)
            except (RedisConnectionError, ConnectionError) as error:
                if isinstance(error, RedisTimeoutError | TimeoutError):
                    raise
                await asyncio.sleep(self._settings.redis_backoff_s * (retry + 1))
        return await self._try(command)

    async def _try(self, command: Callable[[], Awaitable[T]]) -> T:
        ok = False
        try:
            result = await command()
            ok = True
        finally:
            self._metrics.called("redis", ok=ok)
        return result


def _client(url: str, timeout_s: float) -> Redis:
    # redis-py repeats a failed command ten times unless told otherwise; a silent server then costs 15 s instead of 1 s.
    # It also looks up its own version for every connection, which takes longer than hundreds of commands: driver_info.
    return Redis.from_url(
        url,
        driver_info=None,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        retry=Retry(NoBackoff(), 0),
        health_check_interval=0,
    )
