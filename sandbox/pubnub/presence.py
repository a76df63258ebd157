"""Who is on which channel: by heartbeat and subscription, until leave or time-out."""

import time
from collections import defaultdict
from collections.abc import Iterable


class Presence:
    """Occupants per channel with the instant until which they count."""

    def __init__(self) -> None:
        self._until_s: defaultdict[str, dict[str, float]] = defaultdict(dict)

    def beat(self, uuid: str, channels: Iterable[str], hold_s: float) -> None:
        """Count `uuid` as present for the next `hold_s` seconds."""
        for channel in channels:
            self._until_s[channel][uuid] = time.monotonic() + hold_s

    def leave(self, uuid: str, channels: Iterable[str]) -> None:
        """Stop counting `uuid`."""
        for channel in channels:
            self._until_s[channel].pop(uuid, None)

    def here(self, channel: str) -> list[str]:
        """The occupants of a channel."""
        now_s = time.monotonic()
        present = {uuid: until_s for uuid, until_s in self._until_s[channel].items() if until_s > now_s}
        self._until_s[channel] = present
        return list(present)
