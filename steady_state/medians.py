"""Medians of served latency over stretches, from the per-second histograms."""

from __future__ import annotations

import math
from collections.abc import Iterable

from steady_state.history import History
from steady_state.instants import HAIR_S, Span
from steady_state.latency import quantile


def histogram(history: History, route: str, spans: Iterable[Span], *, source: str = "load") -> dict[int, int]:
    """Bucket counts of the route's served latency in the whole seconds inside the spans."""
    plan = history.recording.load_plans.get(source)
    counts: dict[int, int] = {}
    if plan is None:
        return counts
    tallies = history.recording.tallies.get(source, {})
    for span in spans:
        for second in range(max(0, math.ceil(span.start - plan.start_s - HAIR_S)), math.floor(span.end - plan.start_s + HAIR_S)):
            tally = tallies.get(second)
            row = tally.routes.get(route) if tally else None
            for index, count in row.latency if row else ():
                counts[index] = counts.get(index, 0) + count
    return counts


def median_ms(history: History, route: str, spans: Iterable[Span]) -> float | None:
    """Median served latency in milliseconds, or None without a served request."""
    counts = histogram(history, route, spans)
    middle = quantile(counts.items(), 0.5)
    return None if middle is None else middle / 1000
