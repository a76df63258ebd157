"""Secrets of a target description: the file names them as ${NAME}, and their values come from the environment alone.

So a run's copy of the file holds none, whatever the platform's addresses need.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

_NAMED = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_WRITTEN = re.compile(r"^[a-z][a-z0-9+.-]*://([^/?#@\s]*:(?!\$\{)[^/?#@\s]+@|\S*[?&]password=(?!\$\{))", re.IGNORECASE)
"""An address with a password that is not named but there: before the host, or among its parameters."""
_HTTP_USER = re.compile(r"^https?://[^/?#\s]*@", re.IGNORECASE)


def filled(value: Any, environment: Mapping[str, str], key: str = "") -> Any:
    """The document with every ${NAME} replaced. Raises ValueError with the key and what to do, never with a value."""
    match value:
        case dict():
            return {name: filled(one, environment, f"{key}.{name}".lstrip(".")) for name, one in value.items()}
        case list():
            return [filled(one, environment, f"{key}.{number}") for number, one in enumerate(value)]
        case str():
            return _filled_text(value, environment, key)
        case _:
            return value


def _filled_text(text: str, environment: Mapping[str, str], key: str) -> str:
    if _HTTP_USER.match(text):
        raise ValueError(f"{key}: an HTTP address with a user and a password would be shown in messages: leave them out")
    if _WRITTEN.match(text):
        raise ValueError(f"{key}: a password stands in the file: write ${{NAME}} in its place and set NAME in the environment")
    missing = [name for name in _NAMED.findall(text) if name not in environment]
    if missing:
        raise ValueError(f"{key}: {missing[0]} is missing: set it in the environment")
    # Before the host of an address the value is a password, which may hold any character.
    user, at, rest = text.rpartition("@") if "://" in text else ("", "", text)
    return _replaced(user, environment, quoted=True) + at + _replaced(rest, environment, quoted=False)


def _replaced(text: str, environment: Mapping[str, str], *, quoted: bool) -> str:
    def value(found: re.Match[str]) -> str:
        return quote(environment[found[1]], safe="") if quoted else environment[found[1]]

    return _NAMED.sub(value, text)
