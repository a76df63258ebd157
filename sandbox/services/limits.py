"""Rate limits: fixed windows counted in Redis."""

import time
from dataclasses import dataclass

from sandbox.services.guard import StoreError
from sandbox.services.store import Store

# One round trip; answers the counts after this request, in the order of the keys.
_COUNT = """
local counts = {}
for i, key in ipairs(KEYS) do
  counts[i] = redis.call('INCR', key)
  if counts[i] == 1 then redis.call('EXPIRE', key, ARGV[i]) end
end
return counts
"""


@dataclass(frozen=True, slots=True)
class Window:
    """So many requests in so many seconds."""

    limit: int
    length_s: int


@dataclass(frozen=True, slots=True)
class Decision:
    """What the tightest window says; `reset_s` is the seconds until it starts again."""

    allowed: bool
    limit: int
    remaining: int
    reset_s: int

    @property
    def headers(self) -> dict[str, str]:
        """The decision as the client sees it."""
        return {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": str(self.reset_s),
        }


class Limiter:
    """Counts requests per subject; None instead of a decision when Redis does not say and that is allowed."""

    def __init__(self, store: Store, *, limit_s: float, fails_open: bool) -> None:
        self._store = store
        self._limit_s = limit_s
        self._fails_open = fails_open

    async def count(self, subject: str, windows: tuple[Window, ...]) -> Decision | None:
        """Counts one request of this subject in every window."""
        now = int(time.time())
        keys = [f"ratelimit:{subject}:{window.length_s}:{now // window.length_s}" for window in windows]
        try:
            counts = await self._store.script(_COUNT, keys, [window.length_s + 1 for window in windows], limit_s=self._limit_s)
        except StoreError:
            return None if self._fails_open else Decision(allowed=False, limit=0, remaining=0, reset_s=1)
        decisions = [_decide(window, count, now) for window, count in zip(windows, counts, strict=True)]
        return min(decisions, key=lambda decision: (decision.allowed, decision.remaining))


def _decide(window: Window, count: int, now: int) -> Decision:
    reset_s = window.length_s - now % window.length_s
    return Decision(count <= window.limit, window.limit, max(0, window.limit - count), reset_s)
