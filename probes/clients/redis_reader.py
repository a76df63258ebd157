"""A Redis or Valkey server, read-only: INFO, DBSIZE, GET, PING and CLIENT LIST."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from probes.clients.connections import OWN_NAME, Connection
from probes.clients.unreachable import Unreachable, words

T = TypeVar("T")
TIMEOUT_S = 1.0


@dataclass(frozen=True, slots=True)
class CacheCounters:
    """Counters since the server started; a flush does not reset them."""

    hits: int
    misses: int
    flushes: int
    keys: int
    commands: int


class RedisReader:
    """One connection that is made again after each trouble. Every call raises Unreachable within its time-out."""

    def __init__(self, url: str, *, timeout_s: float = TIMEOUT_S) -> None:
        self._what = f"redis {urlsplit(url).hostname}:{urlsplit(url).port}"
        self._timeout_s = timeout_s
        # The library retries by default: 15 s instead of 1 s on a frozen server.
        self._redis = Redis.from_url(
            url,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            retry=Retry(NoBackoff(), 0),
            decode_responses=True,
            client_name=OWN_NAME,
        )

    async def close(self) -> None:
        await self._redis.aclose()

    async def counters(self) -> CacheCounters:
        return _counters(await self._ask(self._redis.info("stats", "commandstats", "keyspace")))

    async def commandstats(self) -> dict[str, int]:
        """Calls by command (lower case) since the server started."""
        info = await self._ask(self._redis.info("commandstats"))
        return {name.removeprefix("cmdstat_"): int(stats["calls"]) for name, stats in info.items() if name.startswith("cmdstat_")}

    async def dbsize(self) -> int:
        """Keys in the database that the URL names."""
        return int(await self._ask(self._redis.dbsize()))

    async def get(self, key: str) -> str | None:
        """The value; None where there is no such key."""
        value = await self._ask(self._redis.get(key))
        return None if value is None else str(value)

    async def ping(self) -> None:
        await self._ask(self._redis.ping())

    async def connections(self) -> list[Connection]:
        """Clients of the server without ours and without its own replicas and masters."""
        return [_connection(one) for one in await self._ask(self._redis.client_list()) if _is_application(one)]

    async def _ask(self, call: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout(self._timeout_s * 1.5):
                return await call
        except (RedisError, OSError, TimeoutError) as error:
            raise Unreachable(self._what, words(error)) from error


def _counters(info: dict[str, Any]) -> CacheCounters:
    flushes = sum(int(cast("dict[str, int]", info.get(f"cmdstat_{name}", {"calls": 0}))["calls"]) for name in ("flushall", "flushdb"))
    return CacheCounters(
        hits=int(info["keyspace_hits"]),
        misses=int(info["keyspace_misses"]),
        flushes=flushes,
        keys=sum(int(stats["keys"]) for name, stats in info.items() if name.startswith("db") and isinstance(stats, dict)),
        commands=int(info["total_commands_processed"]),
    )


def _is_application(client: dict[str, str]) -> bool:
    return client.get("name") != OWN_NAME and not set("MS") & set(client.get("flags", ""))


def _connection(client: dict[str, str]) -> Connection:
    """`idle` is in whole seconds; a client that has not asked anything yet was never busy."""
    asked = client.get("cmd", "NULL") not in ("NULL", "")
    return Connection(client["id"], client["addr"].rpartition(":")[0].strip("[]"), float(client["idle"]) if asked else None)
