"""What was seen first and where: the last healthy second and the first failing request of each window."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from steady_state.history import History
from steady_state.instants import Instant, Span
from steady_state.judge import BASELINE, Judgement
from steady_state.observations import RequestLine
from steady_state.outcomes import FAILED


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
class Explanation:
    """The failing requests of one window. Instants are seconds from minute 0."""

    first: Mapping[str, object] | None
    """The first failing request, whole where it was kept, in the keys of `report.json`."""
    last_healthy_s: int | None
    """The last whole second before it in which every request was served."""
    seen: tuple[Seen, ...]
    """The most frequent first."""


Explanations = dict[str, Explanation]


def explanations(judgement: Judgement) -> Explanations:
    """Baseline and each injected fault: its explanation; empty for a run without minute 0."""
    history = judgement.history
    if not history.started:
        return {}
    first = judgement.windows[0].injected if judgement.windows else history.end
    spans = {BASELINE: Span(history.timeline, min(first, history.end))} | {window.name: window.span for window in judgement.windows}
    failures = sorted((line for line in history.recording.requests if line.outcome in FAILED), key=lambda line: line.t)
    return {name: _explanation(history, span, failures) for name, span in spans.items()}


def _explanation(history: History, span: Span, failures: list[RequestLine]) -> Explanation:
    inside = [line for line in failures if span.contains(line.t)]
    if not inside:
        return Explanation(None, None, ())
    groups: dict[tuple[str, str, str, int], list[Instant]] = {}
    for line in inside:
        groups.setdefault((line.source, line.route, line.outcome.value, line.status), []).append(line.t)
    seen = [Seen(*key, len(at), history.minute(at[0]), history.minute(at[-1])) for key, at in groups.items()]
    seen.sort(key=lambda one: -one.count)
    return Explanation(_whole(history, inside[0]), _last_healthy(history, inside[0].t, failures), tuple(seen))


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


def _last_healthy(history: History, before: Instant, failures: list[RequestLine]) -> int | None:
    """Looks back second by second; None when no second since minute 0 was healthy."""
    unhealthy = {math.floor(history.minute(line.t)) for line in failures}
    second = math.floor(history.minute(before)) - 1
    while second in unhealthy:
        second -= 1
    return second if second >= 0 else None
