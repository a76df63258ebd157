"""Exact binomial arithmetic: what so many requests, or so many runs, can and cannot show."""

from __future__ import annotations

import math
from collections.abc import Callable

CONFIDENCE = 0.95
_HALVINGS = 60


def at_least(successes: int, tries: int, probability: float) -> float:
    """P(X >= successes) for X ~ Binomial(tries, probability)."""
    if successes <= 0:
        return 1.0
    if successes > tries or probability <= 0:
        return 0.0
    if probability >= 1:
        return 1.0
    # The tail that leads away from the mean: its terms only shrink, so that a million tries cost a few hundred of them.
    if successes > tries * probability:
        return min(1.0, _tail(successes, tries, probability))
    return max(0.0, 1.0 - _tail(tries - successes + 1, tries, 1 - probability))


def clopper_pearson(successes: int, tries: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The exact two-sided interval of a probability that showed so many successes; (0, 1) without a try."""
    if not tries:
        return (0.0, 1.0)
    tail = (1 - confidence) / 2
    low = 0.0 if successes == 0 else _least(lambda p: at_least(successes, tries, p) >= tail)
    high = 1.0 if successes == tries else _least(lambda p: at_least(successes + 1, tries, p) >= 1 - tail)
    return (low, high)


def detectable(successes: int, tries: int, chance: float = CONFIDENCE) -> float | None:
    """The smallest probability that shows at least so many successes with this chance; None when so many cannot come."""
    return None if tries < successes else _least(lambda p: at_least(successes, tries, p) >= chance)


def median_rank(values: int, confidence: float = CONFIDENCE) -> int | None:
    """The largest k such that the k-th smallest and the k-th largest of so many values enclose the median.

    It holds for any distribution. None when even the smallest and the largest do so with less confidence (95 %: of five values).
    """
    fits = [rank for rank in range(1, values // 2 + 1) if 1 - 2 * (1 - at_least(rank, values, 0.5)) >= confidence]
    return max(fits, default=None)


def passes_needed(probability: float, confidence: float = CONFIDENCE) -> int:
    """How many passes in a row put the lower end of the two-sided interval at this probability (0 < probability < 1)."""
    return math.ceil(math.log((1 - confidence) / 2) / math.log(probability) - 1e-9)


def _tail(successes: int, tries: int, probability: float) -> float:
    """P(X >= successes) for successes above the mean, summed until nothing is added any more."""
    ways = math.lgamma(tries + 1) - math.lgamma(successes + 1) - math.lgamma(tries - successes + 1)
    term = math.exp(ways + successes * math.log(probability) + (tries - successes) * math.log1p(-probability))
    total = 0.0
    for count in range(successes, tries + 1):
        if total + term == total:
            break
        total += term
        term *= (tries - count) / (count + 1) * probability / (1 - probability)
    return total


def _least(reached: Callable[[float], bool]) -> float:
    """The smallest probability at which a condition holds that holds from there on."""
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if reached(middle) else (middle, high)
    return high
