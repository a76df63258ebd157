"""Words that the finding of each flaw's cell must hold: a cell that turned for another reason has not caught the flaw.

Source: steady_state/criteria; each is what the flaw's summary says, in the judge's words.
"""

from __future__ import annotations

RATE = "requests failed in the worst 10 s"
REASONS = {
    "one-replica": " down ",
    "breaker-never-opens": "never opened on",
    "breaker-never-closes": "was not closed 15 s after the fault ended",
    "breaker-opens-unasked": "was not closed on",
    "breaker-opens-on-slow": "discovery->qdrant was not closed on",
    "retry-storm": "pubnub: at most",
    "no-fallback": RATE,
    "fallback-not-marked": "fallback 0, ",
    "stale-beyond-limit": "served 100.00% of",
    "no-failover": RATE,
    "slow-readiness": "discovery-service: fewer than 2 ready",
    "no-timeout": RATE,
    "reads-stuck": RATE,
    "reconnect-storm": "redis: at most",
    "cache-never-refills": "not refilled after",
    "wrong-answers": RATE,
    "short-downtime": " down ",
    "sessions-lost": "x 401 on",
    "messages-lost": " 0 doubled, 0 out of order",
    "messages-doubled": " 0 lost, ",
    "messages-reordered": " 0 lost, 0 doubled, ",
    "errors-after-recovery": "requests failed (",
}
