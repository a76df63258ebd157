"""Three verdicts, and how they combine: FAIL beats INCONCLUSIVE beats PASS; nothing judged is nothing proved."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum


class Verdict(StrEnum):
    """The result of a criterion or of a run."""

    PASS = "PASS"
    INCONCLUSIVE = "INCONCLUSIVE"
    FAIL = "FAIL"


EXIT_CODES = {Verdict.PASS: 0, Verdict.FAIL: 1, Verdict.INCONCLUSIVE: 2}
"""Exit codes of `orchestrator gate` (design 7); 3 is refused before start and 4 our own error."""


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict of all together; of nothing, INCONCLUSIVE."""
    seen = set(verdicts)
    for verdict in (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS):
        if verdict in seen:
            return verdict
    return Verdict.INCONCLUSIVE


@dataclass(frozen=True, slots=True)
class Finding:
    """One criterion's result, with its numbers. `window` holds start and end, seconds from minute 0."""

    verdict: Verdict
    because: str
    measured: float | None = None
    limit: float | None = None
    unit: str = ""
    n: int | None = None
    window: tuple[float, float] | None = None
    evidence: tuple[str, ...] = field(default=())


def inconclusive(because: str, *, window: tuple[float, float] | None = None) -> Finding:
    """A finding that could not be judged, with the reason."""
    return Finding(Verdict.INCONCLUSIVE, because, window=window)
