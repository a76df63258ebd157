"""Secrets in a target description: named there, valued by the environment, and refused where they are written."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from probes.filled import filled
from probes.target import TargetDescriptionError, load_description

ENVIRONMENT = {"PASSWORD": "a/b@c:d", "HOST": "db.example:5432"}


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("redis://:${PASSWORD}@r:6379/0", "redis://:a%2Fb%40c%3Ad@r:6379/0"),
        ("postgresql://u:${PASSWORD}@${HOST}/d", "postgresql://u:a%2Fb%40c%3Ad@db.example:5432/d"),
        ("http://${HOST}/health", "http://db.example:5432/health"),
        ("${PASSWORD}", "a/b@c:d"),
        ("{query}, $5 and ${ not closed", "{query}, $5 and ${ not closed"),
    ],
)
def test_a_name_becomes_its_value(written: str, meant: str) -> None:
    assert filled({"a": [{"b": written}, 5, None, True]}, ENVIRONMENT) == {"a": [{"b": meant}, 5, None, True]}


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("redis://:hunter2@r:6379/0", "a password stands in the file"),
        ("postgresql://u:hunter2@h/d", "a password stands in the file"),
        ("postgresql://h/d?user=u&password=hunter2", "a password stands in the file"),
        ("http://u:hunter2@h/", "an HTTP address with a user and a password"),
        ("https://u:${PASSWORD}@h/", "an HTTP address with a user and a password"),
        ("redis://:${ELSEWHERE}@r:6379/0", "ELSEWHERE is missing: set it in the environment"),
    ],
)
def test_what_would_tell_a_secret_or_has_none_is_refused_by_its_key(written: str, said: str) -> None:
    with pytest.raises(ValueError, match=r"^roles\.1\.url: ") as caught:
        filled({"roles": [{}, {"url": written}]}, ENVIRONMENT)
    assert said in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert ENVIRONMENT["PASSWORD"] not in str(caught.value)


@pytest.mark.parametrize("harmless", ["postgresql://media@127.0.0.1:5432/d", "redis://r:6379/0", "http://h:1/a:b@c", "to (?P<state>\\w+)$"])
def test_what_holds_no_secret_stays_as_it_is(harmless: str) -> None:
    assert filled(harmless, {}) == harmless


def test_a_description_is_refused_with_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOT_THERE", raising=False)
    document: dict[str, Any] = {"name": "x", "roles": {"redis": {"kind": "redis", "url": "redis://:${NOT_THERE}@r:1/0"}}}
    with pytest.raises(TargetDescriptionError) as caught:
        load_description(yaml.safe_dump(document), source="mine.yaml")
    assert str(caught.value) == "mine.yaml: roles.redis.url: NOT_THERE is missing: set it in the environment"
