"""The cache probe: the cache server's own counters, once a second."""

from __future__ import annotations

from probes.clients.redis_reader import RedisReader
from probes.clock import Clock
from probes.single import SingleProbe
from steady_state.observations import CacheLine


class CacheProbe(SingleProbe):
    """Records hits, misses, flushes and keys as INFO tells them."""

    name = "cache"
    subject = "cache"
    period_s = 1.0

    def __init__(self, *, clock: Clock, reader: RedisReader) -> None:
        super().__init__(clock)
        self._reader = reader

    async def look(self) -> CacheLine:
        """The counters now. Raises Unreachable."""
        found = await self._reader.counters()
        return CacheLine(t=self._clock.now(), hits=found.hits, misses=found.misses, flushes=found.flushes, keys=found.keys)
