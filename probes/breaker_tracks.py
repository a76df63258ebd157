"""What is known of each breaker in each replica by each source, written down at first sight and at each change."""

from __future__ import annotations

from dataclasses import dataclass, field

from probes.breaker_state import BreakerState
from probes.sampler import Record, Sightings
from probes.target import BreakerSource
from steady_state.instants import Instant
from steady_state.observations import BreakerLine, breaker_subject

COPY = "copy"
"""The replica's name where nobody knows which one wrote."""


@dataclass(slots=True)
class _Known:
    found: BreakerState
    since: Instant


@dataclass(slots=True)
class BreakerTracks:
    """Writes a line at first sight and at each change of the state or of the source's own counter."""

    record: Record
    sightings: Sightings
    _known: dict[str, _Known] = field(default_factory=dict)

    def begin(self, source: BreakerSource, replica: str) -> None:
        """A new replica of this name: what an earlier one said is over."""
        self._known.pop(_subject(source, replica), None)

    def expect(self, source: BreakerSource, replica: str, since: Instant) -> None:
        """From then on the source should be seen."""
        self.sightings.expect(_subject(source, replica), since=since)

    def away(self, source: BreakerSource, replica: str, t: Instant) -> None:
        """From then on the replica is known to be away."""
        self.sightings.away(_subject(source, replica), t)

    def missed(self, source: BreakerSource, replica: str, reason: str) -> None:
        """A look that showed nothing."""
        self.sightings.missed(_subject(source, replica), reason)

    def saw(self, source: BreakerSource, replica: str, found: BreakerState, *, t: Instant, since: Instant) -> None:
        """Seen at `t`. A change that shows later lies after `since`: the state was so at some instant after that."""
        subject = _subject(source, replica)
        known = self._known.get(subject)
        if known is None or known.found != found:
            self._write(source, replica, found, t, None if known is None else known.since)
        self._known[subject] = _Known(found, since)
        self.sightings.seen(subject, t)

    def _write(self, source: BreakerSource, replica: str, found: BreakerState, t: Instant, previous_t: Instant | None) -> None:
        self.record(
            BreakerLine(
                t=t,
                breaker=source.name,
                replica=replica,
                source=source.kind,
                state=found.state,
                previous_t=previous_t,
                transitions=found.transitions,
            )
        )


def _subject(source: BreakerSource, replica: str) -> str:
    return breaker_subject(source.name, replica, source.kind)
