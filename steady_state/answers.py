"""How answers were made: fresh, cached, from a fallback or stale, by second of their due instants."""

from __future__ import annotations

import math
from collections.abc import Iterable

from steady_state.history import History
from steady_state.instants import HAIR_S, Span
from steady_state.outcomes import Outcome


def answers(history: History, span: Span, routes: Iterable[str]) -> dict[Outcome, int]:
    """The load's outcomes on the routes, over the whole seconds inside the span: what came before the fault is not its doing."""
    plan = history.recording.load_plans.get("load")
    totals: dict[Outcome, int] = {}
    if plan is None:
        return totals
    wanted = set(routes)
    tallies = history.recording.tallies.get("load", {})
    for second in range(max(0, math.ceil(span.start - plan.start_s - HAIR_S)), math.floor(span.end - plan.start_s + HAIR_S)):
        tally = tallies.get(second)
        for route, counts in (tally.routes if tally else {}).items():
            if route in wanted:
                for outcome, count in counts.counts.items():
                    totals[outcome] = totals.get(outcome, 0) + count
    return totals


def fallback_activations(history: History, span: Span) -> dict[str, int]:
    """How often each kind of fallback was used in the span, by the services' own counters (a new pod starts at zero)."""
    totals: dict[str, int] = {}
    for lines in history.calls.values():
        before = [line for line in lines if line.t <= span.start]
        inside = [line for line in lines if span.start < line.t <= span.end + 1.0]
        if not inside:
            continue
        base = before[-1].fallbacks if before else {}
        for kind, count in inside[-1].fallbacks.items():
            if count > base.get(kind, 0):
                totals[kind] = totals.get(kind, 0) + count - base.get(kind, 0)
    return dict(sorted(totals.items()))
