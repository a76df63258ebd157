"""Request bodies: JSON with the types that a Toxiproxy client sends, anything else is a 400."""

from collections.abc import Mapping
from typing import Any

import orjson

from sandbox.toxiproxy.errors import bad_body


def parse(raw: bytes) -> Any:
    """The JSON value in a request body. Raises ApiError 400."""
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise bad_body(str(error) if raw.strip() else "EOF") from error


def parse_object(raw: bytes) -> dict[str, Any]:
    """The JSON object in a request body. Raises ApiError 400."""
    return as_object(parse(raw), "body")


def as_object(value: object, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise bad_body(f"{what} must be an object")
    return value


def text(body: Mapping[str, Any], key: str, default: str) -> str:
    """A string; absent and null mean the default."""
    value = body.get(key)
    if value is None:
        return default
    if not isinstance(value, str):
        raise bad_body(f"{key} must be a string")
    return value


def flag(body: Mapping[str, Any], key: str, default: bool) -> bool:
    """A boolean; absent and null mean the default."""
    value = body.get(key)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise bad_body(f"{key} must be a boolean")
    return value


def ratio(body: Mapping[str, Any], key: str, default: float) -> float:
    """A number; absent and null mean the default."""
    value = body.get(key)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise bad_body(f"{key} must be a number")
    return float(value)


def integer(body: Mapping[str, Any], key: str, default: int) -> int:
    """A whole number of at least 0; absent and null mean the default."""
    value = body.get(key)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int):
        raise bad_body(f"{key} must be an integer")
    if value < 0:
        raise bad_body(f"{key} must not be negative")
    return value
