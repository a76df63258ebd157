"""A breaker's state as its pod's log tells it: followed live, with a look each time whether the stream still tells all."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from probes.breaker_state import CLOSED, BreakerState, Unreadable, state_in_line
from probes.breaker_tracks import BreakerTracks
from probes.clients.kube import KubeReader
from probes.clients.kube_stream import Expired
from probes.clients.pod_log import START, LogLine, LogStream, Place, Places
from probes.clients.unreachable import Unreachable
from probes.clock import Clock
from probes.sampler import ticks
from probes.target import LogSource
from steady_state.instants import Instant

LOOK_PERIOD_S = 0.4
LOOK_TIMEOUT_S = 0.5
"""One lost answer must not be a gap: there is time for another try before the silence has lasted 1 s."""
READ_TIMEOUT_S = 5.0
"""For a whole log: ours, some 10 MB at most."""
RETRY_S = 0.2


class PodLog:
    """The sources in one pod's log. An instant is a line's arrival on our clock, never the pod's own stamp."""

    def __init__(self, pod: str, sources: Sequence[LogSource], *, kube: KubeReader, clock: Clock, tracks: BreakerTracks) -> None:
        self._pod = pod
        self._sources = sources
        self._kube = kube
        self._clock = clock
        self._tracks = tracks

    async def run(self) -> None:
        """Follow the log until cancelled, through ends of the stream and restarts of the container."""
        while True:
            try:
                await self._follow()
            except (Expired, Unreachable) as error:
                self._missed(str(error))
            await self._clock.sleep_until(self._clock.now() + RETRY_S)

    async def _follow(self) -> None:
        """One stream to its end. What is there before it says the present state, not when that began."""
        await self._read_whole()
        async with self._kube.follow_log(self._pod, since=self._since) as stream:
            tasks = [asyncio.create_task(self._listen(stream)), asyncio.create_task(self._look(stream))]
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _read_whole(self) -> None:
        sent = self._clock.now()
        lines = await self._kube.pod_log(self._pod, timeout_s=READ_TIMEOUT_S)
        self._states: dict[str, BreakerState | Unreadable] = {source.name: CLOSED for source in self._sources}
        self._place, self._since, places = START, "", Places()
        for line in lines:
            self._advance(line, places.of(line))
            self._states |= dict(self._told(line))
        self._proven(sent)

    async def _listen(self, stream: LogStream) -> None:
        places, start, caught_up = Places(), self._place, False
        async for line in stream:
            place = places.of(line)
            caught_up = caught_up or place > start
            if not caught_up:
                continue
            self._advance(line, place)
            told = dict(self._told(line))
            self._states |= told
            # When the line was written is not known, only that the last look did not show it.
            self._tell([source for source in self._sources if source.name in told], line.t, since=self._proven_at)

    async def _look(self, stream: LogStream) -> None:
        """A stream can die without a word. What a look shows and the stream has not told by the next one proves that."""
        newest = self._place
        async for _ in ticks(self._clock, LOOK_PERIOD_S):
            if newest > self._place:
                self._missed("the stream of the log had died: a look told of a line first")
                stream.close()
                return
            sent = self._clock.now()
            try:
                newest = await self._newest()
            except Unreachable as error:
                self._missed(str(error))
                continue
            if newest <= self._place:
                self._proven(sent)

    async def _newest(self) -> Place:
        places, newest = Places(), START
        for line in await self._kube.pod_log(self._pod, since=self._since, timeout_s=LOOK_TIMEOUT_S):
            newest = places.of(line)
        return newest

    def _advance(self, line: LogLine, place: Place) -> None:
        self._place, self._since = place, line.stamped

    def _told(self, line: LogLine) -> list[tuple[str, BreakerState | Unreadable]]:
        """What a line says of each breaker that it speaks of."""
        found: list[tuple[str, BreakerState | Unreadable]] = []
        for source in self._sources:
            try:
                state = state_in_line(source, line.text)
            except Unreadable as error:
                found.append((source.name, error))
            else:
                found += [(source.name, state)] if state is not None else []
        return found

    def _proven(self, sent: Instant) -> None:
        """Every line that was there at `sent` has been told."""
        self._proven_at = sent
        self._tell(self._sources, self._clock.now(), since=sent)

    def _tell(self, sources: Sequence[LogSource], t: Instant, *, since: Instant) -> None:
        for source in sources:
            state = self._states[source.name]
            if isinstance(state, Unreadable):
                self._tracks.missed(source, self._pod, str(state))
            else:
                self._tracks.saw(source, self._pod, state, t=t, since=since)

    def _missed(self, reason: str) -> None:
        for source in self._sources:
            self._tracks.missed(source, self._pod, reason)
