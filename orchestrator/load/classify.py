"""From an answer to its outcome. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import orjson

from probes.target import Check, Marks
from steady_state.outcomes import Outcome


@dataclass(frozen=True, slots=True)
class Rules:
    """What counts as served on one route."""

    check: Check
    served_within_ms: float
    stale_after_s: float | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: status, body, and the values of the headers that matter ("" where there was none)."""

    status: int
    body: bytes
    cache: str = ""
    degraded: str = ""
    age: str = ""
    served_by: str = ""


def classify(answer: Answer, rules: Rules, marks: Marks, *, latency_ms: float, expected: Callable[[], Mapping[str, str]]) -> Outcome:
    """The one outcome. `expected` gives the values that the body must hold; it is asked for 2xx answers only."""
    if answer.status == 429:
        return Outcome.RATE_LIMITED
    if answer.status >= 500:
        return Outcome.SERVER_ERROR
    if answer.status >= 400:
        return Outcome.CLIENT_ERROR
    if not 200 <= answer.status < 300 or not _is_right(answer.body, rules.check, expected):
        return Outcome.WRONG_ANSWER
    if latency_ms > rules.served_within_ms:
        return Outcome.LATE
    return _how_served(answer, rules, marks)


def _how_served(answer: Answer, rules: Rules, marks: Marks) -> Outcome:
    """A degraded mark wins over a cache mark."""
    if answer.degraded:
        stale = rules.stale_after_s is not None and _seconds(answer.age) > rules.stale_after_s
        return Outcome.STALE if stale else Outcome.FALLBACK
    return Outcome.CACHED if answer.cache.upper() == marks.cached_value.upper() else Outcome.FRESH


def _seconds(age: str) -> float:
    """The Age header; one that is missing or not a number says nothing, so 0."""
    return float(age) if age.isdecimal() else 0.0


def _is_right(body: bytes, check: Check, expected: Callable[[], Mapping[str, str]]) -> bool:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return False
    if check.non_empty is not None:
        items = _at(document, check.non_empty)
        if not isinstance(items, list) or not items:
            return False
    return not check.equals or all(str(_at(document, path)) == value for path, value in expected().items())


def _at(document: object, path: str) -> object:
    """The value at a dotted path (`content.id`, `results.0.id`), None where there is none."""
    for key in path.split("."):
        if isinstance(document, dict):
            document = document.get(key)
        elif isinstance(document, list) and key.isdecimal() and int(key) < len(document):
            document = document[int(key)]
        else:
            return None
    return document
