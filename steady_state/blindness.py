"""Where nothing was seen: seconds without a tally, a lagging generator, silent probes, lost lines."""

from __future__ import annotations

import math
from itertools import pairwise

from steady_state.history import History
from steady_state.instants import Instant, Span
from steady_state.observations import TallyLine
from steady_state.outcomes import Outcome

SILENT_S = 2.5
"""A probe beats once a second; a longer silence is a gap even where no gap line was written (the probe died)."""
LAGGED_RATIO, LAGGED_COUNT = 0.01, 3
"""A second is generator-limited when more than 1 % and at least 3 of its requests lagged. Source: design 4."""

_PLAIN = frozenset({Outcome.FRESH, Outcome.CACHED, Outcome.FALLBACK})


def load_gaps(history: History, span: Span, source: str = "load") -> list[str]:
    """Sentences about seconds of a source in the span whose outcomes are unknown or made by our own generator."""
    plan = history.recording.load_plans.get(source)
    if plan is None:
        return [f"no requests of source {source} were recorded"]
    tallies = history.recording.tallies.get(source, {})
    lines = _exceptions_by_second(history, source)
    missing, limited, torn = [], [], []
    first = max(0, math.floor(span.start - plan.start_s + 1e-9))
    for second in range(first, max(first, math.ceil(span.end - plan.start_s - 1e-9))):
        tally = tallies.get(second)
        if tally is None:
            missing.append(second)
        elif _generator_limited(tally):
            limited.append(second)
        elif _exceptional(tally) > lines.get(second, 0):
            torn.append(second)
    words = ((f"without a record of source {source}", missing), ("generator-limited", limited), ("with lost request lines", torn))
    return [f"{len(seconds)} s {what} (first at {_at(history, plan.start_s, seconds[0])})" for what, seconds in words if seconds]


def load_share(history: History, span: Span) -> float | None:
    """Share of the load due in the span that our generator did send in time; None without load."""
    routes = history.load()
    due = sum(route.due(span) for route in routes)
    if not due:
        return None
    kept = due - sum(len([1 for instant in route.generator if span.contains(instant)]) for route in routes)
    return kept / due


def probe_gaps(history: History, span: Span, probe: str, subjects: set[str] | None = None) -> list[str]:
    """Sentences about stretches of the span in which a probe saw nothing (of the subjects, default: of any)."""
    gaps = [
        f"{line.probe} saw nothing of {line.subject} for {line.t - line.from_t:.1f} s "
        f"from {history.minute(line.from_t):.1f} s ({line.reason})"
        for line in history.recording.gaps
        if line.probe == probe and (subjects is None or line.subject in subjects) and Span(line.from_t, line.t).overlaps(span)
    ]
    return gaps + _silences(history, span, probe)


def _silences(history: History, span: Span, probe: str) -> list[str]:
    beats: list[Instant] = sorted(line.t for line in history.recording.beats if line.probe == probe)
    inside = [beat for beat in beats if span.start - SILENT_S <= beat <= span.end + SILENT_S]
    if not inside:
        return [f"{probe} gave no sign of life"]
    marks = [max(span.start, min(inside)) if min(inside) <= span.start + SILENT_S else span.start, *inside, span.end]
    marks.sort()
    return [
        f"{probe} was silent for {after - before:.1f} s from {history.minute(before):.1f} s"
        for before, after in pairwise(marks)
        if after - before > SILENT_S
    ]


def _exceptions_by_second(history: History, source: str) -> dict[int, int]:
    plan = history.recording.load_plans[source]
    seconds: dict[int, int] = {}
    for line in history.recording.requests:
        if line.source == source and line.outcome not in _PLAIN:
            second = math.floor(plan.due(line.route, line.number) - plan.start_s + 1e-9)
            seconds[second] = seconds.get(second, 0) + 1
    return seconds


def _exceptional(tally: TallyLine) -> int:
    return sum(count for route in tally.routes.values() for outcome, count in route.counts.items() if outcome not in _PLAIN)


def _generator_limited(tally: TallyLine) -> bool:
    due = sum(route.due for route in tally.routes.values())
    unsent = sum(route.counts.get(Outcome.GENERATOR, 0) for route in tally.routes.values())
    hurt = tally.lagged + unsent
    return hurt >= LAGGED_COUNT and hurt > LAGGED_RATIO * due


def _at(history: History, start: Instant, second: int) -> str:
    return f"{history.minute(start + second):.0f} s"
