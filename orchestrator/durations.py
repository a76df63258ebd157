"""Durations as people write them: 90, "90s", "10m", "1h"."""

from __future__ import annotations

import re

_PATTERN = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h)?")
LONGEST_S = 7 * 24 * 3600.0
"""A week: longer runs are a slip of the pen."""
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, None: 1.0}


def seconds(value: object) -> float:
    """Seconds of a duration; a bare number counts as seconds. Raises ValueError with the accepted forms."""
    length_s = _read(value)
    if length_s is None:
        raise ValueError(f"{value!r} is not a duration; write it as 90, '90s', '10m' or '1h'")
    if not 0 <= length_s <= LONGEST_S:
        raise ValueError(f"{value!r} is not a duration; it must be from 0 to {LONGEST_S / 3600:g} h")
    return length_s


def _read(value: object) -> float | None:
    if isinstance(value, str):
        match = _PATTERN.fullmatch(value.strip())
        return float(match[1]) * _SECONDS[match[2]] if match else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # An int of any size is JSON; a float cannot hold each.
    return float(min(value, LONGEST_S + 1))


def in_words(length_s: float) -> str:
    """A duration for people: 240 -> '4 min', 45 -> '45 s'."""
    minutes, rest = divmod(round(length_s), 60)
    if minutes and rest:
        return f"{minutes} min {rest} s"
    return f"{minutes} min" if minutes else f"{length_s:g} s"
