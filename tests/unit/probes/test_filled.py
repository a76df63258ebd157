"""Secrets in a target description: named there, valued by the environment, and refused where they are written."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from probes.filled import filled
from probes.target import TargetDescriptionError, load_description

ENVIRONMENT = {"PASSWORD": "a/b@c:d&e"}
QUOTED = "a%2Fb%40c%3Ad%26e"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("redis://:${PASSWORD}@r:6379/0", f"redis://:{QUOTED}@r:6379/0"),
        ("postgresql://u:${PASSWORD}@h:5432/d", f"postgresql://u:{QUOTED}@h:5432/d"),
        ("postgresql://h/d?user=u&password=${PASSWORD}", f"postgresql://h/d?user=u&password={QUOTED}"),
    ],
)
def test_a_name_becomes_its_value(written: str, meant: str) -> None:
    assert filled({"a": [{"b": written}, 5, None, True]}, ENVIRONMENT) == {"a": [{"b": meant}, 5, None, True]}


WRITTEN = [
    "redis://:hunter2@r:6379/0",
    "redis://:hun/ter2@r:6379/0",
    "redis://:hunter2@with-at@r:6379/0",
    "postgresql://u:hunter2@h/d",
    "postgresql://u:${PASSWORD}hunter2@h/d",
    "postgresql://h/d?user=u&password=hunter2",
    "postgresql://h/d?sslpassword=hunter2",
]


@pytest.mark.parametrize("written", WRITTEN)
def test_a_password_that_stands_there_is_refused_and_not_told(written: str) -> None:
    with pytest.raises(ValueError, match=r"^roles\.1\.url: a password stands in the file") as caught:
        filled({"roles": [{}, {"url": written}]}, ENVIRONMENT)
    assert "hun" not in str(caught.value)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("http://u:hunter2@h/", "an HTTP address with a user would be shown"),
        ("https://u:${PASSWORD}@h/", "an HTTP address with a user would be shown"),
        ("redis://:${ELSEWHERE}@r:6379/0", "ELSEWHERE is missing: set it in the environment"),
    ],
)
def test_what_would_be_shown_or_has_no_value_is_refused_by_its_key(written: str, said: str) -> None:
    with pytest.raises(ValueError, match=f"^a: {said}") as caught:
        filled({"a": written}, ENVIRONMENT)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "harmless",
    [
        "postgresql://media@127.0.0.1:5432/d",
        "redis://r:6379/0",
        "http://h:1/a:b@c",
        "to (?P<state>\\w+)$",
        "{query}, ${PASSWORD} and ${ not closed",
        "http://h/?token=${PASSWORD}",
    ],
)
def test_what_is_no_secret_of_a_database_stays_as_it_is(harmless: str) -> None:
    assert filled(harmless, ENVIRONMENT) == harmless


@pytest.mark.parametrize("written", [*WRITTEN[:1], "redis://:${ELSEWHERE}@r:6379/0", "http://u:pw@h/"])
def test_for_a_heal_what_cannot_be_filled_stays_as_it_is(written: str) -> None:
    """A receipt must suffice: what is taken away needs no password of another store, and older runs have older files."""
    assert filled(written, ENVIRONMENT, strict=False) == written


def test_a_description_is_refused_with_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOT_THERE", raising=False)
    document: dict[str, Any] = {"name": "x", "roles": {"redis": {"kind": "redis", "url": "redis://:${NOT_THERE}@r:1/0"}}}
    with pytest.raises(TargetDescriptionError) as caught:
        load_description(yaml.safe_dump(document), source="mine.yaml")
    assert str(caught.value) == "mine.yaml: roles.redis.url: NOT_THERE is missing: set it in the environment"
