"""Durations as people write them: 90, "90s", "10m", "1h"."""

from __future__ import annotations

import re

_PATTERN = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h)?")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, None: 1.0}


def seconds(value: object) -> float:
    """Seconds of a duration; a bare number counts as seconds. Raises ValueError with the accepted forms."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"{value!r} is not a duration; write it as 90, '90s', '10m' or '1h'")
    if isinstance(value, str):
        match = _PATTERN.fullmatch(value.strip())
        if match is None:
            raise ValueError(f"{value!r} is not a duration; write it as 90, '90s', '10m' or '1h'")
        return float(match[1]) * _SECONDS[match[2]]
    if value < 0 or value != value or value == float("inf"):
        raise ValueError(f"{value!r} is not a duration; it must be a finite number of seconds, 0 or more")
    return float(value)


def in_words(length_s: float) -> str:
    """A duration for people: 240 -> '4 min', 45 -> '45 s'."""
    minutes, rest = divmod(round(length_s), 60)
    if minutes and rest:
        return f"{minutes} min {rest} s"
    return f"{minutes} min" if minutes else f"{length_s:g} s"
