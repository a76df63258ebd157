"""`state_kept`: no new refusals. Sessions and tokens that were good before a fault are good during and after it.

Source: ours, design 6 ("4xx that were absent at the baseline"); the definition is ADR 0015.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass

from steady_state.blindness import load_gaps
from steady_state.history import History
from steady_state.instants import Instant, Span
from steady_state.outcomes import Outcome
from steady_state.rates import rate
from steady_state.verdict import Finding, Verdict, inconclusive
from steady_state.windows import Window

Refusal = tuple[str, int]
"""Route and status."""


@dataclass(frozen=True, slots=True)
class _New:
    """4xx of one stretch beyond their share at the baseline, by route and status."""

    span: Span
    due: int
    counts: dict[Refusal, float]

    @property
    def count(self) -> float:
        return sum(self.counts.values())

    @property
    def ratio(self) -> float:
        return self.count / self.due if self.due else 0.0


def judge(window: Window) -> Finding:
    """The worst ten seconds from I to the next I: the share of due requests that got a 4xx which the baseline did not know."""
    history, limits = window.history, window.history.limits
    where = history.window(window.span)
    if history.plan.load_engine == "none":
        return inconclusive("the load is not ours, so no share of it is known", window=where)
    baseline = history.baseline
    worst = _worst(history, _usual(history, baseline), window.span)
    blind = load_gaps(history, window.span) + load_gaps(history, baseline)
    if blind:
        return inconclusive(f"not seen throughout: {blind[0]}", window=history.window(worst.span))
    if worst.due < limits.samples_during:
        return inconclusive(f"{worst.due} requests, {limits.samples_during} would suffice", window=where)
    broken = worst.count >= 2 and worst.ratio > limits.client_error_ratio
    words = _words(history, worst)
    verdict = Verdict.FAIL if broken else Verdict.PASS
    return Finding(verdict, words, round(worst.ratio, 6), limits.client_error_ratio, "ratio", worst.due, history.window(worst.span))


def _refused(history: History) -> list[tuple[Instant, Refusal]]:
    """Every 4xx of the load by its due instant."""
    lines = (line for line in history.recording.requests if line.source == "load" and line.outcome is Outcome.CLIENT_ERROR)
    return sorted((history.recording.load_plans["load"].due(line.route, line.number), (line.route, line.status)) for line in lines)


def _inside(refused: list[tuple[Instant, Refusal]], stretch: Span) -> Counter[Refusal]:
    return Counter(refusal for _, refusal in refused[bisect_left(refused, (stretch.start,)) : bisect_left(refused, (stretch.end,))])


def _usual(history: History, baseline: Span) -> dict[Refusal, float]:
    """The largest share of the due requests in any ten seconds of the baseline: the worst is compared with the worst."""
    refused, usual = _refused(history), dict[Refusal, float]()
    for stretch in baseline.stretches(history.limits.worst_window_s):
        due = rate(history, stretch).due
        for refusal, count in _inside(refused, stretch).items():
            usual[refusal] = max(usual.get(refusal, 0.0), count / due)
    return usual


def _worst(history: History, usual: dict[Refusal, float], span: Span) -> _New:
    refused = _refused(history)
    found = (_new(history, usual, refused, stretch) for stretch in span.stretches(history.limits.worst_window_s))
    return max(found, key=lambda one: one.ratio)


def _new(history: History, usual: dict[Refusal, float], refused: list[tuple[Instant, Refusal]], stretch: Span) -> _New:
    due = rate(history, stretch).due
    counts = _inside(refused, stretch)
    beyond = {refusal: count - usual.get(refusal, 0.0) * due for refusal, count in counts.items()}
    return _New(stretch, due, {refusal: count for refusal, count in beyond.items() if count > 0})


def _words(history: History, worst: _New) -> str:
    if not worst.counts:
        return f"no 4xx that the baseline did not know, in {worst.due} requests of any 10 s"
    kinds = ", ".join(
        f"{count:.0f} x {status} on {route}" for (route, status), count in sorted(worst.counts.items(), key=lambda one: -one[1])[:3]
    )
    start, _ = history.window(worst.span)
    return f"{worst.count:.0f} of {worst.due} requests got a new 4xx in the worst 10 s, from {start:.1f} s ({kinds})"
