"""From an answer to its outcome."""

from __future__ import annotations

import pytest

from orchestrator.load.classify import Answer, Rules, classify
from probes.target import Check, Marks
from steady_state.outcomes import Outcome

RIGHT = b'{"results": [{"id": "a"}], "content": {"id": "content-00042", "number": 42}}'
RULES = Rules(Check(non_empty="results", equals={"content.id": "{content_id}", "content.number": "x", "results.0.id": "y"}), 2000, 60)
EXPECTED = {"content.id": "content-00042", "content.number": "42", "results.0.id": "a"}


def outcome(answer: Answer, *, latency_ms: float = 10, rules: Rules = RULES) -> Outcome:
    return classify(answer, rules, Marks(), latency_ms=latency_ms, expected=lambda: EXPECTED)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (200, Outcome.FRESH),
        (202, Outcome.FRESH),
        (301, Outcome.WRONG_ANSWER),
        (400, Outcome.CLIENT_ERROR),
        (401, Outcome.CLIENT_ERROR),
        (429, Outcome.RATE_LIMITED),
        (500, Outcome.SERVER_ERROR),
        (504, Outcome.SERVER_ERROR),
    ],
)
def test_the_status_decides_first(status: int, expected: Outcome) -> None:
    assert outcome(Answer(status, RIGHT)) is expected
    if status >= 400:
        assert outcome(Answer(status, b""), latency_ms=4000) is expected


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"null",
        RIGHT.replace(b'[{"id": "a"}]', b"[]"),
        RIGHT.replace(b'[{"id": "a"}]', b'{"0": {"id": "a"}}'),
        RIGHT.replace(b"00042", b"00043"),
        RIGHT.replace(b'"number": 42', b'"number": 41'),
        RIGHT.replace(b"results", b"items"),
    ],
)
def test_a_200_is_served_only_when_its_body_is_right(body: bytes) -> None:
    assert outcome(Answer(200, body)) is Outcome.WRONG_ANSWER


def test_a_route_without_checks_still_wants_json() -> None:
    rules = Rules(Check(), 2000, None)
    assert outcome(Answer(200, b"7"), rules=rules) is Outcome.FRESH
    assert outcome(Answer(200, b"seven"), rules=rules) is Outcome.WRONG_ANSWER


@pytest.mark.parametrize(("latency_ms", "expected"), [(2000, Outcome.FRESH), (2000.1, Outcome.LATE)])
def test_late_is_later_than_the_limit(latency_ms: float, expected: Outcome) -> None:
    assert outcome(Answer(200, RIGHT), latency_ms=latency_ms) is expected


@pytest.mark.parametrize(
    ("marks", "expected"),
    [
        ({"cache": "MISS"}, Outcome.FRESH),
        ({"cache": "HIT"}, Outcome.CACHED),
        ({"cache": "hit", "age": "900"}, Outcome.CACHED),
        ({"cache": "HIT", "degraded": "stale-cache", "age": "60"}, Outcome.FALLBACK),
        ({"degraded": "stale-cache", "age": "61"}, Outcome.STALE),
        ({"degraded": "keyword"}, Outcome.FALLBACK),
        ({"degraded": "keyword", "age": "soon"}, Outcome.FALLBACK),
    ],
)
def test_marks_say_how_it_was_served(marks: dict[str, str], expected: Outcome) -> None:
    assert outcome(Answer(200, RIGHT, **marks)) is expected


def test_without_a_limit_nothing_is_stale() -> None:
    rules = Rules(Check(), 2000, None)
    assert outcome(Answer(200, b"{}", degraded="stale-cache", age="99999"), rules=rules) is Outcome.FALLBACK
