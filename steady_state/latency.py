"""Latencies as HdrHistogram buckets of 2 significant digits: at most 0.78 % off, mergeable by adding counts."""

from __future__ import annotations

import math
from collections.abc import Iterable

_SUB_BITS = 8  # 256 sub-buckets: what HdrHistogram takes for 2 significant digits
_HALF_BITS = _SUB_BITS - 1


def bucket_index(us: int) -> int:
    """The bucket of a latency in microseconds (>= 0)."""
    exponent = max(0, us.bit_length() - _SUB_BITS)
    return (exponent << _HALF_BITS) + (us >> exponent)


def bucket_value_us(index: int) -> int:
    """The highest latency, in microseconds, that falls into the bucket (HdrHistogram's highest equivalent value)."""
    exponent = max(0, (index >> _HALF_BITS) - 1)
    return ((index - (exponent << _HALF_BITS) + 1) << exponent) - 1


def quantile(counts: Iterable[tuple[int, int]], q: float) -> int | None:
    """The latency in microseconds that the share `q` (0..1) of the values does not exceed; None where there are none.

    `counts` are (bucket index, count), in any order; an index may come more than once (merged seconds).
    """
    ordered = sorted(counts)
    rank = max(1, math.ceil(q * sum(count for _, count in ordered) - 1e-9))
    seen = 0
    for index, count in ordered:
        seen += count
        if seen >= rank:
            return bucket_value_us(index)
    return None
