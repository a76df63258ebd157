"""The one outcome in which every due request ends, and what each means to the judge."""

from __future__ import annotations

from enum import StrEnum


class Outcome(StrEnum):
    """How a due request ended. Exactly one per request."""

    FRESH = "fresh"
    CACHED = "cached"
    FALLBACK = "fallback"
    STALE = "stale"  # served, but older than the route's stale limit
    LATE = "late"  # an answer after the route's served limit (2 s)
    WRONG_ANSWER = "wrong_answer"
    SERVER_ERROR = "server_error"
    TIMEOUT = "timeout"  # the client gave up (5 s)
    REFUSED = "refused"
    RESET = "reset"
    EOF = "eof"
    UNSENT = "unsent"  # the target holds every connection
    CLIENT_ERROR = "client_error"  # 4xx other than 429
    RATE_LIMITED = "rate_limited"  # 429
    GENERATOR = "generator"  # not sent, or its answer not read, in time because our own generator lagged


SERVED = frozenset({Outcome.FRESH, Outcome.CACHED, Outcome.FALLBACK, Outcome.STALE})
EXCLUDED = frozenset({Outcome.CLIENT_ERROR, Outcome.RATE_LIMITED, Outcome.GENERATOR})
"""Outcomes that leave numerator and denominator and neither make nor break a row of unserved requests (design 6)."""
FAILED = frozenset(Outcome) - SERVED - EXCLUDED
