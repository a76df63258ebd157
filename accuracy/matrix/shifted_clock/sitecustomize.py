"""Read by Python before anything else when this folder is in PYTHONPATH: wall time is CLOCK_OFFSET_S seconds ahead.

Covers what the process says and reckons by the `time` module: stamps in JSON and in caches, the HTTP Date header, expiries.
`datetime.now` asks the system itself and is not moved; nor is the monotonic clock, which no wrong date moves either.
"""

from __future__ import annotations

import os
import time
from typing import SupportsIndex

OFFSET_S = float(os.environ.get("CLOCK_OFFSET_S", "0"))
Seconds = float | SupportsIndex | None
_time, _time_ns, _gmtime, _localtime = time.time, time.time_ns, time.gmtime, time.localtime


def _shifted_time() -> float:
    return _time() + OFFSET_S


def _shifted_time_ns() -> int:
    return _time_ns() + int(OFFSET_S * 1e9)


def _shifted_gmtime(seconds: Seconds = None, /) -> time.struct_time:
    return _gmtime(_shifted_time() if seconds is None else seconds)


def _shifted_localtime(seconds: Seconds = None, /) -> time.struct_time:
    return _localtime(_shifted_time() if seconds is None else seconds)


time.time, time.time_ns, time.gmtime, time.localtime = _shifted_time, _shifted_time_ns, _shifted_gmtime, _shifted_localtime
