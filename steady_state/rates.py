"""Failed and served shares of the load over a stretch, with the reasons why a share may not be judged."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from steady_state.history import History
from steady_state.instants import HAIR_S, Instant, Span
from steady_state.traffic import RouteTraffic, count_in


@dataclass(frozen=True, slots=True)
class Rate:
    """Counts over one stretch. `counted` = due less 429, other 4xx and what our generator could not send."""

    span: Span
    due: int
    counted: int
    failed: int
    rate_limited: int
    client_errors: int
    stale: int

    @property
    def failed_ratio(self) -> float:
        return self.failed / self.counted if self.counted else 0.0

    @property
    def served_ratio(self) -> float:
        return (self.counted - self.failed) / self.counted if self.counted else 0.0


def rate(history: History, span: Span, routes: Iterable[str] | None = None) -> Rate:
    """The load's counts over the span, on the named routes (default: all)."""
    return rate_of(history.load(routes), span)


def rate_of(chosen: list[RouteTraffic], span: Span) -> Rate:
    """The counts of these routes over the span."""
    return Rate(
        span=span,
        due=sum(route.due(span) for route in chosen),
        counted=sum(route.counted(span) for route in chosen),
        failed=sum(route.failures(span) for route in chosen),
        rate_limited=sum(count_in(route.rate_limited, span) for route in chosen),
        client_errors=sum(count_in(route.client_errors, span) for route in chosen),
        stale=sum(count_in(route.stale, span) for route in chosen),
    )


def refusals(history: History, measured: Rate) -> str | None:
    """Why this stretch's rates cannot be judged: too many 429 in it (design 6). Other 4xx are judged by `state_kept`."""
    limits = history.limits
    if measured.due and measured.rate_limited / measured.due > limits.rate_limited_ratio:
        return f"{measured.rate_limited} of {measured.due} requests were rate limited (429), more than {limits.rate_limited_ratio:.1%}"
    return None


def burst_refusals(history: History, span: Span, length_s: float) -> str | None:
    """As `refusals`, for the span and for every stretch of `length_s` in it: a burst must not hide in a long span."""
    whole = refusals(history, rate(history, span))
    if whole or span.length_s <= length_s:
        return whole
    return next((reason for start in _uncounted(history, span) if (reason := _refusal_from(history, start, span, length_s))), None)


def _refusal_from(history: History, start: Instant, span: Span, length_s: float) -> str | None:
    begin = max(span.start, min(start, span.end - length_s))
    return refusals(history, rate(history, Span(begin, begin + length_s)))


def _uncounted(history: History, span: Span) -> Iterator[Instant]:
    for route in history.load():
        yield from (due - HAIR_S for due in route.rate_limited if span.contains(due))


def wilson(failed: int, counted: int) -> tuple[float, float]:
    """The 95 % Wilson interval of a share: the resolution of the figure, never a test (design 6)."""
    if not counted:
        return (0.0, 1.0)
    z = 1.959964
    share = failed / counted
    centre = (share + z * z / (2 * counted)) / (1 + z * z / counted)
    half = z * math.sqrt(share * (1 - share) / counted + z * z / (4 * counted * counted)) / (1 + z * z / counted)
    return (max(0.0, centre - half), min(1.0, centre + half))
