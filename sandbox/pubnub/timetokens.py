"""PubNub's clock: strictly increasing timetokens in units of 100 ns since 1970 (17 digits)."""

import time


class Timetokens:
    """Hands out each timetoken once."""

    def __init__(self) -> None:
        self._last = 0

    def next(self) -> int:
        """The present time, or the smallest number that was not handed out yet."""
        self._last = max(self._last + 1, time.time_ns() // 100)
        return self._last
