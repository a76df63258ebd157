"""The requests that get a line of their own: not served, stale, or slower than their route's maximum; a few of them whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from steady_state.observations import ExemplarLine, RequestLine
from steady_state.outcomes import SERVED, Outcome

PLAIN = SERVED - {Outcome.STALE}
_EXEMPLARS_PER_S = 3
_DETAIL_CHARACTERS = 400


@dataclass(frozen=True, slots=True)
class Ended:
    """How a request ended. `secret` must not show, even if the target echoes it."""

    route: str
    number: int
    due_s: float
    ended_s: float
    outcome: Outcome
    status: int = 0
    detail: str = ""
    served_by: str = ""
    secret: str = ""


class Exceptional:
    """Writes the lines of one source."""

    def __init__(self, source: str, write: Callable[[RequestLine | ExemplarLine], None]) -> None:
        self._source = source
        self._write = write
        self._second = 0
        self._exemplars = 0

    def tell(self, ended: Ended) -> None:
        """One line, and another with the details of a request that was not served while this second has room."""
        latency_ms = round((ended.ended_s - ended.due_s) * 1000, 3)
        named = {"source": self._source, "route": ended.route, "number": ended.number, "outcome": ended.outcome, "status": ended.status}
        self._write(RequestLine.model_validate({"t": ended.due_s, "latency_ms": latency_ms, **named}))
        if ended.outcome not in PLAIN and self._has_room(int(ended.ended_s)):
            text = ended.detail.replace(ended.secret, "[token]") if ended.secret else ended.detail
            detail = text[:_DETAIL_CHARACTERS]
            self._write(ExemplarLine.model_validate({"t": ended.due_s, "detail": detail, "served_by": ended.served_by[:100], **named}))

    def _has_room(self, second: int) -> bool:
        if second != self._second:
            self._second, self._exemplars = second, 0
        self._exemplars += 1
        return self._exemplars <= _EXEMPLARS_PER_S
