"""`amplification`: a platform in trouble must not multiply its own load on what it depends on.

Source: ours, design 6 ("calls at each dependency per due request, against the baseline"). The definition is ADR 0014.
"""

from __future__ import annotations

from dataclasses import dataclass

from steady_state.blindness import load_gaps, probe_gaps
from steady_state.history import History
from steady_state.instants import Span
from steady_state.rates import rate
from steady_state.tries import Tries
from steady_state.verdict import Finding, Verdict, inconclusive
from steady_state.windows import Window

PROBE = "calls"
SHOWN = 3
STRETCH_S = 10.0
"""The worst stretch of this length decides, as for `error_rate_during`."""


@dataclass(frozen=True, slots=True)
class _Share:
    """Tries at one dependency per due request, in one stretch and at the baseline."""

    dependency: str
    span: Span
    made: float
    due: int
    usual: float

    @property
    def per_request(self) -> float:
        return self.made / self.due

    @property
    def factor(self) -> float:
        return self.per_request / self.usual


def judge(window: Window) -> Finding:
    """The largest factor of any dependency in any ten seconds from I to the next I."""
    history, limits = window.history, window.history.limits
    where = history.window(window.span)
    if history.plan.load_engine == "none":
        return inconclusive("the load is not ours, so nobody knows how many requests were due", window=where)
    tries = Tries(history)
    if not tries.dependencies:
        return inconclusive("no service's tries were counted", window=where)
    baseline = history.baseline
    counted = rate(history, baseline).due
    if counted < limits.samples_during:
        return inconclusive(f"{counted} requests at the baseline, {limits.samples_during} would suffice", window=where)
    shares = [one for dependency in tries.dependencies for one in _shares(history, tries, dependency, baseline, window.span)]
    ordered = sorted(shares, key=lambda one: -one.factor)
    if not ordered:
        return inconclusive("the window is too short", window=where)
    unusual = [*probe_gaps(history, baseline, PROBE), *load_gaps(history, baseline)]
    if unusual:
        return inconclusive(f"the baseline was not seen throughout: {unusual[0]}", window=where)
    gaps = [*probe_gaps(history, window.span, PROBE), *load_gaps(history, window.span)]
    # Tries that were made while nobody looked all count where they were read at last: too many there may be many seconds' worth.
    failing = [one for one in ordered if one.factor > limits.amplification_factor and not probe_gaps(history, one.span, PROBE)]
    worst = failing[0] if failing else ordered[0]
    evidence = tuple(_words(history, one) for one in (worst, *_others(ordered, worst)))[:SHOWN]
    if gaps and not failing:
        return inconclusive(f"not seen throughout: {gaps[0]} (measured: {evidence[0]})", window=where)
    verdict = Verdict.FAIL if failing else Verdict.PASS
    return Finding(verdict, evidence[0], round(worst.factor, 3), limits.amplification_factor, "x", worst.due, where, evidence)


def _others(ordered: list[_Share], worst: _Share) -> list[_Share]:
    """The largest factor of each other dependency."""
    largest: dict[str, _Share] = {}
    for one in ordered:
        largest.setdefault(one.dependency, one)
    return [one for one in largest.values() if one.dependency != worst.dependency]


def _shares(history: History, tries: Tries, dependency: str, baseline: Span, span: Span) -> list[_Share]:
    """Tries per due request in each stretch of the span.

    What a dependency with a queue was spared since the injection is not counted again when it is made up for: a queue that is
    replayed after a partition is work put off, not work multiplied.
    """
    ratio = tries.made(dependency, baseline) / _due(history, baseline)
    usual = max(ratio, history.limits.amplification_floor)

    def spared(stretch: Span) -> float:
        if history.plan.queued is not None and dependency not in history.plan.queued:
            return 0.0
        before = Span(span.start, stretch.start)
        return max(0.0, ratio * _due(history, before) - tries.made(dependency, before))

    return [
        _Share(dependency, stretch, max(0.0, tries.made(dependency, stretch) - spared(stretch)), due, usual)
        for stretch in span.stretches(STRETCH_S)
        if (due := _due(history, stretch)) >= history.limits.samples_during
    ]


def _due(history: History, span: Span) -> int:
    """Requests due in the span, of the load and of the outside probe: both make the services call."""
    return sum(route.due(span) for routes in history.traffic.values() for route in routes.values())


def _words(history: History, one: _Share) -> str:
    start, _ = history.window(one.span)
    return (
        f"{one.dependency}: at most {one.factor:.1f} times its usual tries "
        f"({one.per_request:.2f} against {one.usual:.2f} a request, 10 s from {start:.0f} s)"
    )
