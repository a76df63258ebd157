"""The cache probe: the cache server's own counters, once a second."""

from __future__ import annotations

import asyncio

from probes.clients.redis_reader import RedisReader
from probes.clients.unreachable import Unreachable
from probes.clock import Clock
from probes.sampler import Record, Sightings, ticks, until_stopped
from steady_state.observations import CacheLine

PERIOD_S = 1.0
SUBJECT = "cache"


class CacheProbe:
    """Records hits, misses, flushes and keys as INFO tells them."""

    name = "cache"

    def __init__(self, *, clock: Clock, reader: RedisReader) -> None:
        self._clock = clock
        self._reader = reader

    async def run(self, record: Record, stop: asyncio.Event) -> None:
        sightings = Sightings(self.name, period_s=PERIOD_S, clock=self._clock, record=record)
        sightings.expect(SUBJECT)
        await until_stopped(stop, sightings.beat(), self._sample(record, sightings))

    async def _sample(self, record: Record, sightings: Sightings) -> None:
        async for _ in ticks(self._clock, PERIOD_S):
            try:
                found = await self._reader.counters()
            except Unreachable as error:
                sightings.missed(SUBJECT, str(error))
                continue
            t = self._clock.now()
            record(CacheLine(t=t, hits=found.hits, misses=found.misses, flushes=found.flushes, keys=found.keys))
            sightings.seen(SUBJECT, t)
