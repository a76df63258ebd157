"""Secrets of a target description: the address of a database names them as ${NAME}, and their values come from the environment alone.

So a run's copy of the file holds none. Elsewhere ${NAME} means nothing: other texts show in messages and in process arguments.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

_NAMED = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_DATABASE = re.compile(r"^(redis|rediss|postgres|postgresql)://", re.IGNORECASE)
_USER = re.compile(r"^[a-z]+://(?P<user>.*)@", re.IGNORECASE)
"""What stands before the last @: an address has no other one behind its host."""
_PARAMETER = re.compile(r"[?&]\w*password=(?P<password>[^&]*)", re.IGNORECASE)


def filled(value: Any, environment: Mapping[str, str], *, strict: bool = True, key: str = "") -> Any:
    """The document with every ${NAME} in the address of a database replaced, percent-encoded.

    Raises ValueError with the key and what to do, never with a value, where a name has none or a password stands in the file. Not
    `strict`: such addresses stay as they are.
    """
    match value:
        case dict():
            return {name: filled(one, environment, strict=strict, key=f"{key}.{name}".lstrip(".")) for name, one in value.items()}
        case list():
            return [filled(one, environment, strict=strict, key=f"{key}.{number}") for number, one in enumerate(value)]
        case str():
            if strict and (refusal := _refusal(value, environment)):
                raise ValueError(f"{key}: {refusal}")
            return _NAMED.sub(lambda found: _value(found, environment), value) if _DATABASE.match(value) else value
        case _:
            return value


def _refusal(text: str, environment: Mapping[str, str]) -> str:
    """Why the address cannot be used; empty where it can."""
    user = found["user"] if (found := _USER.match(text)) else ""
    if re.match(r"https?://[^/?#]*@", text, re.IGNORECASE):
        return "an HTTP address with a user would be shown in messages: leave the user out"
    if not _DATABASE.match(text):
        return ""
    passwords = [user.partition(":")[2], *(one["password"] for one in _PARAMETER.finditer(text))]
    if any(one and not _NAMED.fullmatch(one) for one in passwords):
        return "a password stands in the file: write ${NAME} in its place and set NAME in the environment"
    missing = [name for name in _NAMED.findall(text) if name not in environment]
    return f"{missing[0]} is missing: set it in the environment" if missing else ""


def _value(found: re.Match[str], environment: Mapping[str, str]) -> str:
    return quote(environment[found[1]], safe="") if found[1] in environment else found[0]
