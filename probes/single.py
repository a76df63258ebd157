"""A probe with one subject: asked at a fixed cadence, each answer written down as it is."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod

from probes.clients.unreachable import Unreachable
from probes.clock import Clock
from probes.sampler import Record, Sightings, ticks, until_stopped
from steady_state.observations import Observation


class SingleProbe(ABC):
    """Records every observation; no answer is a sight missed."""

    name: str
    subject: str
    period_s: float

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    @abstractmethod
    async def look(self) -> Observation:
        """One observation, its instant that of the answer. Raises Unreachable."""

    async def run(self, record: Record, stop: asyncio.Event) -> None:
        sightings = Sightings(self.name, period_s=self.period_s, clock=self._clock, record=record)
        sightings.expect(self.subject)
        await until_stopped(stop, sightings.beat(), self._sample(record, sightings))

    async def _sample(self, record: Record, sightings: Sightings) -> None:
        async for _ in ticks(self._clock, self.period_s):
            try:
                line = await self.look()
            except Unreachable as error:
                sightings.missed(self.subject, str(error))
                continue
            record(line)
            sightings.seen(self.subject, line.t)
