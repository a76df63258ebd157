"""The failing requests of a stretch: the first one whole, the last healthy second before it, and how many failed how."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from steady_state.blindness import clock_gaps
from steady_state.history import History
from steady_state.instants import HAIR_S, Instant, Span
from steady_state.observations import RequestLine
from steady_state.outcomes import FAILED, Outcome


@dataclass(frozen=True, slots=True)
class Seen:
    """All requests of one source and route that failed in one way; instants are seconds from minute 0."""

    source: str
    route: str
    outcome: str
    status: int
    count: int
    first_s: float
    last_s: float


@dataclass(frozen=True, slots=True)
class Failures:
    """The failing requests of one stretch. Instants are seconds from minute 0."""

    first: Mapping[str, object] | None
    """The first failing request, whole where it was kept, in the keys of `report.json`."""
    last_healthy_s: int | None
    """The last whole second before it in which every request was served."""
    seen: tuple[Seen, ...]
    """The most frequent first."""

    @property
    def last_s(self) -> float | None:
        """When the last of them was due."""
        return max((one.last_s for one in self.seen), default=None)


def request_lines(history: History, outcomes: frozenset[Outcome] = FAILED) -> list[RequestLine]:
    """Every request of every source that ended so (default: failed), by its due instant."""
    return sorted((line for line in history.recording.requests if line.outcome in outcomes), key=lambda line: line.t)


def failures(history: History, span: Span, failed: list[RequestLine], routes: Iterable[str] | None = None) -> Failures:
    """What failed in the span, on the named routes (default: all). `failed` comes from `request_lines`."""
    wanted = None if routes is None else set(routes)
    chosen = failed if wanted is None else [line for line in failed if line.route in wanted]
    inside = [line for line in chosen if span.start - HAIR_S <= line.t < span.end]
    if not inside:
        return Failures(None, None, ())
    groups: dict[tuple[str, str, str, int], list[Instant]] = {}
    for line in inside:
        groups.setdefault((line.source, line.route, line.outcome.value, line.status), []).append(line.t)
    seen = [Seen(*key, len(at), history.minute(at[0]), history.minute(at[-1])) for key, at in groups.items()]
    seen.sort(key=lambda one: -one.count)
    return Failures(_whole(history, inside[0]), _last_healthy(history, inside[0].t, failed), tuple(seen))


def _whole(history: History, line: RequestLine) -> Mapping[str, object]:
    same = (line.source, line.route, line.number)
    kept = next((one for one in history.recording.exemplars if (one.source, one.route, one.number) == same), None)
    return {
        "t": history.minute(line.t),
        "source": line.source,
        "route": line.route,
        "outcome": line.outcome.value,
        "status": line.status or (kept.status if kept else 0),
        "served_by": kept.served_by if kept else "",
        "detail": kept.detail if kept else "",
    }


def _last_healthy(history: History, before: Instant, failed: list[RequestLine]) -> int | None:
    """Looks back second by second, past those of which nothing is known; None when no second since minute 0 was healthy."""
    unhealthy = {math.floor(history.minute(line.t)) for line in failed}
    second = math.floor(history.minute(before)) - 1
    while second >= 0 and (second in unhealthy or clock_gaps(history, Span(history.timeline + second, history.timeline + second + 1))):
        second -= 1
    return second if second >= 0 else None
