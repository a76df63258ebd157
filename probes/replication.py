"""The replication probe: the standbys as the primary sees them, twice a second."""

from __future__ import annotations

import asyncio

from probes.clients.postgres import PostgresReader
from probes.clients.unreachable import Unreachable
from probes.clock import Clock
from probes.sampler import Record, Sightings, ticks, until_stopped
from steady_state.observations import ReplicaState, ReplicationLine

PERIOD_S = 0.5
SUBJECT = "primary"


class ReplicationProbe:
    """Records state and lag of each standby; one that is away is missing from the line."""

    name = "replication"

    def __init__(self, *, clock: Clock, primary: PostgresReader) -> None:
        self._clock = clock
        self._primary = primary

    async def run(self, record: Record, stop: asyncio.Event) -> None:
        sightings = Sightings(self.name, period_s=PERIOD_S, clock=self._clock, record=record)
        sightings.expect(SUBJECT)
        await until_stopped(stop, sightings.beat(), self._sample(record, sightings))

    async def _sample(self, record: Record, sightings: Sightings) -> None:
        async for _ in ticks(self._clock, PERIOD_S):
            try:
                standbys = await self._primary.standbys()
            except Unreachable as error:
                sightings.missed(SUBJECT, str(error))
                continue
            t = self._clock.now()
            replicas = [ReplicaState(name=one.name, state=one.state, lag_bytes=one.lag_bytes) for one in standbys]
            record(ReplicationLine(t=t, replicas=replicas))
            sightings.seen(SUBJECT, t)
