"""`zero_downtime`: no downtime interval of 1 s or longer on a user-visible route.

Source: spec 3.5, "Zero downtime (availability maintained)"; the definition is design 6 and ADR 0005.
"""

from __future__ import annotations

import math

from steady_state.blindness import traffic_gaps
from steady_state.downtime import Downtime, downtimes
from steady_state.history import History
from steady_state.instants import HAIR_S, Span
from steady_state.verdict import Finding, Verdict, inconclusive
from steady_state.windows import Window


def judge(window: Window) -> Finding:
    """The longest downtime interval that began in [I, next I), or later while the fault had not recovered."""
    return judge_span(window.history, window.charged)


def judge_span(history: History, span: Span) -> Finding:
    """As `judge`, for any stretch (the baseline uses it)."""
    limit = history.limits.downtime_s
    where = history.window(span)
    found = downtimes(history, span)
    worst = max(found, key=lambda one: one.span.length_s, default=None)
    longest = _tenths(worst.span.length_s) if worst else 0.0
    evidence = tuple(_sentence(history, one) for one in found[:5])
    if worst is not None and longest >= limit:
        return Finding(Verdict.FAIL, _sentence(history, worst), longest, limit, "s", len(found), where, evidence)
    gaps = traffic_gaps(history, span)
    if gaps:
        return inconclusive(f"not seen throughout: {gaps[0]}", window=where)
    refused = [(route, one) for route, one in history.refusals if one.overlaps(span) and _tenths(one.length_s) >= limit]
    # With a load of ours `state_kept` judges them.
    if refused and history.plan.load_engine == "none":
        route, one = refused[0]
        words = f"{route} answered with nothing but refusals (4xx) for {one.length_s:.1f} s from {history.minute(one.start):.1f} s"
        return inconclusive(f"{words}: whether it was available cannot be told", window=where)
    shortest = f"{len(found)} shorter than {limit:g} s, longest {longest:.1f} s" if found else "none"
    return Finding(Verdict.PASS, f"downtime intervals: {shortest}", longest, limit, "s", len(found), where, evidence)


def _tenths(seconds: float) -> float:
    """To 0.1 s, half up, whatever the last digits of a difference of floats are."""
    return math.floor(seconds * 10 + 0.5 + HAIR_S) / 10


def _sentence(history: History, one: Downtime) -> str:
    end = "the end of the record" if one.open else f"{history.minute(one.span.end):.1f} s"
    start = f"{history.minute(one.span.start):.1f} s"
    return f"{one.route} down {one.span.length_s:.1f} s: {one.requests} requests in a row not served, {start} to {end}"
