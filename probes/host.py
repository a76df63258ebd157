"""The host probe: how busy this machine was, and how much of its time the hypervisor gave to others. Linux only."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from probes.clock import Clock
from probes.sampler import Record, Sightings, ticks, until_stopped
from steady_state.observations import HostLine

PERIOD_S = 1.0
SUBJECT = "host"
PROC_STAT = Path("/proc/stat")
_IDLE, _IOWAIT, _STEAL = 3, 4, 7
_GUEST = 8
"""Places in the line `cpu`: user nice system idle iowait irq softirq steal guest ... Source: proc_stat(5)."""


@dataclass(frozen=True, slots=True)
class Ticks:
    """Time of all processors since the machine started, in clock ticks."""

    busy: int
    steal: int
    total: int


class HostProbe:
    """Records steal and busy time once a second. Where there is no /proc/stat it records nothing."""

    name = "host"

    def __init__(self, *, clock: Clock, proc_stat: Path = PROC_STAT) -> None:
        self._clock = clock
        self._proc_stat = proc_stat

    async def run(self, record: Record, stop: asyncio.Event) -> None:
        if self._read() is None:
            await stop.wait()
            return
        sightings = Sightings(self.name, period_s=PERIOD_S, clock=self._clock, record=record)
        sightings.expect(SUBJECT)
        await until_stopped(stop, sightings.beat(), self._sample(record, sightings))

    async def _sample(self, record: Record, sightings: Sightings) -> None:
        before: Ticks | None = None
        async for _ in ticks(self._clock, PERIOD_S):
            now, t = self._read(), self._clock.now()
            if before is not None and now is not None and now.total > before.total:
                record(_line(t, before, now))
                sightings.seen(SUBJECT, t)
            before = now

    def _read(self) -> Ticks | None:
        """The counters, or None where they cannot be read."""
        try:
            first = self._proc_stat.read_text(encoding="ascii").partition("\n")[0]
        except OSError:
            return None
        return parse(first)


def parse(line: str) -> Ticks | None:
    """The first line of /proc/stat; None when it is not one of those that Linux writes."""
    name, *fields = line.split() or [""]
    if name != "cpu" or len(fields) <= _STEAL or not all(field.isdigit() for field in fields):
        return None
    # Time of guests is in `user` and `nice` already.
    values = [int(field) for field in fields[:_GUEST]]
    total = sum(values)
    return Ticks(total - values[_IDLE] - values[_IOWAIT] - values[_STEAL], values[_STEAL], total)


def _line(t: float, before: Ticks, now: Ticks) -> HostLine:
    whole = now.total - before.total
    # Idle time can be corrected downwards by the kernel, so that a share may leave its range by a little.
    steal, busy = (min(1.0, max(0.0, part / whole)) for part in (now.steal - before.steal, now.busy - before.busy))
    return HostLine(t=t, steal_ratio=round(steal, 4), busy_ratio=round(busy, 4))
