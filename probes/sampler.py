"""What all samplers share: a fixed cadence, who was seen when, beats each second, gaps instead of guesses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Protocol

from probes.clock import Clock
from steady_state.instants import Instant
from steady_state.observations import BeatLine, GapLine, Observation

Record = Callable[[Observation], None]
NOT_ANSWERED = "no answer in time"


class Probe(Protocol):
    """Reads one kind of thing until `stop`, and records what it saw and where it saw nothing."""

    @property
    def name(self) -> str:
        """The word for this probe in beats and gaps."""
        ...

    async def run(self, record: Record, stop: asyncio.Event) -> None:
        """Sample until `stop` is set; never raises because a target cannot be read."""
        ...


def long_gap_s(period_s: float) -> float:
    """From this length on, silence is a gap. Source: design 5, "3 periods or 1 s, whichever is longer"."""
    return max(3 * period_s, 1.0)


async def ticks(clock: Clock, period_s: float) -> AsyncIterator[Instant]:
    """Deadlines at a fixed cadence from now on. Ticks that a slow round missed are left out, never made up for in a burst."""
    start, number = clock.now(), 0
    while True:
        yield start + number * period_s
        number = max(number + 1, int((clock.now() - start) / period_s + 1e-9))
        await clock.sleep_until(start + number * period_s)


async def wait_until(clock: Clock, instant: Instant, stop: asyncio.Event) -> bool:
    """Wait for the instant, or for `stop` if that is set first. Returns whether `stop` is set."""
    try:
        async with asyncio.timeout(max(0.0, instant - clock.now())):
            await stop.wait()
    except TimeoutError:
        return stop.is_set()
    return True


async def until_stopped(stop: asyncio.Event, *workers: Coroutine[Any, Any, None]) -> None:
    """Run the workers side by side and cancel them when `stop` is set; the first that raises ends all."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(worker) for worker in workers]
        await stop.wait()
        for task in tasks:
            task.cancel()


@dataclass(slots=True)
class _Subject:
    last: Instant
    reason: str = NOT_ANSWERED
    looks: int = 0


class Sightings:
    """When each subject of one probe was last seen. Silence of a subject that is expected becomes a gap line."""

    def __init__(self, probe: str, *, period_s: float, clock: Clock, record: Record) -> None:
        self._probe = probe
        self._limit_s = long_gap_s(period_s)
        self._clock = clock
        self._record = record
        self._subjects: dict[str, _Subject] = {}

    def expect(self, subject: str, *, since: Instant | None = None) -> None:
        """From `since` (default: now) on the subject should be seen."""
        self._subjects.setdefault(subject, _Subject(last=self._clock.now() if since is None else since))

    def seen(self, subject: str, t: Instant) -> None:
        """A look that showed the subject. One that is away does not count."""
        if (known := self._subjects.get(subject)) is None:
            return
        self._note_gap(subject, known, t)
        known.last = max(known.last, t)
        known.reason = NOT_ANSWERED
        known.looks += 1

    def missed(self, subject: str, reason: str) -> None:
        """A look that showed nothing; the reason is for the gap, should it become one."""
        if subject in self._subjects:
            self._subjects[subject].reason = reason

    def away(self, subject: str, t: Instant) -> None:
        """From `t` on the subject is known to be away: no silence of it is a gap."""
        known = self._subjects.pop(subject, None)
        if known is not None:
            self._note_gap(subject, known, t)

    async def beat(self) -> None:
        """A beat line each second; on the way out, the gaps that are still open."""
        try:
            async for instant in ticks(self._clock, 1.0):
                self._beat(instant)
        finally:
            self.close()

    def close(self) -> None:
        """Record the gaps that last until now."""
        t = self._clock.now()
        for subject, known in self._subjects.items():
            self._note_gap(subject, known, t)
        self._subjects.clear()

    def _beat(self, instant: Instant) -> None:
        self._record(BeatLine(t=instant, probe=self._probe, seen={name: known.looks for name, known in self._subjects.items()}))
        for known in self._subjects.values():
            known.looks = 0

    def _note_gap(self, subject: str, known: _Subject, t: Instant) -> None:
        if t - known.last >= self._limit_s:
            self._record(GapLine(t=t, probe=self._probe, subject=subject, from_t=known.last, reason=known.reason))
