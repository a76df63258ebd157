"""Sync operations as two test devices saw them: sent and accepted on one, arrived on the other."""

from __future__ import annotations

from dataclasses import dataclass

from steady_state.instants import Instant
from steady_state.observations import OperationLine
from steady_state.recording import Recording


@dataclass(frozen=True, slots=True)
class Delivered:
    """One operation that the platform accepted, and its arrivals in order. `overtaken`: a later one of the user came first."""

    operation: OperationLine
    arrivals: tuple[Instant, ...]
    overtaken: bool = False

    @property
    def words(self) -> str:
        return f"operation {self.operation.number} of {self.operation.user}"


def accepted_operations(recording: Recording) -> list[Delivered]:
    """Every accepted operation in the order of sending. One whose answer was lost is not among them: nobody knows whether it counts."""
    arrivals: dict[tuple[str, int], list[Instant]] = {}
    overtaken: set[tuple[str, int]] = set()
    latest: dict[str, int] = {}
    for line in sorted(recording.deliveries, key=lambda one: (one.t, one.user, one.number)):
        key = (line.user, line.number)
        if key not in arrivals and line.number < latest.get(line.user, -1):
            overtaken.add(key)
        latest[line.user] = max(latest.get(line.user, -1), line.number)
        arrivals.setdefault(key, []).append(line.t)
    accepted = sorted((one for one in recording.operations if one.accepted), key=lambda one: (one.t, one.user, one.number))
    keys = [(one.user, one.number) for one in accepted]
    return [Delivered(one, tuple(arrivals.get(key, ())), key in overtaken) for one, key in zip(accepted, keys, strict=True)]
