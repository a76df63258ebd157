"""How the judge defines its words, in short, each with its source; shown at the end of the page."""

from __future__ import annotations

GLOSSARY: tuple[tuple[str, str, str], ...] = (
    (
        "PASS, FAIL, INCONCLUSIVE",
        "Per fault and criterion. FAIL beats INCONCLUSIVE beats PASS. "
        "What was not seen, not felt or not exposed is INCONCLUSIVE, never PASS.",
        "design",
    ),
    (
        "served, failed",
        "Served: an answer that passes its checks within 2 s of the instant at which the request was due. Failed: 5xx, late, wrong answer, "
        "timeout, refused, reset, closed, or unsent because the target held every connection. 429 and other 4xx leave the count.",
        "design",
    ),
    ("I, H, R", "The instant just before the fault was injected; the instant its taking away was read back; recovered.", "ADR 0006"),
    (
        "downtime",
        "At least 5 requests due in a row on one user-visible route, none served, from the first to the next served one; "
        "none may last 1 s or longer.",
        "spec 3.5, ADR 0005",
    ),
    (
        "recovery",
        "From H to the end of the last run of violations (failing, slow, too few ready replicas, a breaker out of place) before the "
        "platform is steady for 10 s; at most 120 s, never scaled.",
        "spec 3.5, ADR 0006",
    ),
    (
        "breakers",
        "Each fault declares which breakers must open, may open or must stay closed, and by when they close again; "
        "judged on every replica.",
        "spec 3.5, ADR 0009",
    ),
    (
        "degraded",
        "Share of due requests that were served, fresh or from a marked fallback: at least 95% on the routes that the fault hits, "
        "99.5% on the others, none staler than its limit.",
        "spec 3.5, ADR 0008",
    ),
    ("errors during", "Failed share of the worst 10 s that begin while the fault lasts; below 5%.", "spec 3.5, ADR 0007"),
    ("errors after", "Failed share from recovery to the next fault (row baseline: before the first); below 0.5%.", "spec 3.5"),
    (
        "delivery",
        "Every sync operation that the platform accepted arrives once and in order on the user's other device, within 30 s of H.",
        "ADR 0012",
    ),
    ("refill", "From a flush to the first 10 s in which the cache's hit rate is 90% of what it was: at most 120 s.", "ADR 0013"),
    (
        "calls (amplification)",
        "Tries at each dependency per due request in the worst 10 s, against the baseline: at most 3 times as many.",
        "ADR 0014",
    ),
    (
        "new 4xx (state_kept)",
        "Share of due requests in the worst 10 s with a 4xx (other than 429) that was absent at the baseline, as from lost sessions: "
        "at most 0.5%.",
        "ADR 0015",
    ),
    (
        "power",
        "The shortest outage that must hold 5 requests due in a row (load and outside probe together, at any phase), and the smallest true "
        "error rate that shows at least 2 failures with 95% probability. What is smaller may have happened unseen.",
        "binomial",
    ),
    (
        "validity",
        "The fault was injected within 250 ms of its instant, felt on its target within 10 s and healed; the target had traffic in the "
        "10 s before (exposure); the load was at least 99% of its plan. Else the cells it spoils are INCONCLUSIVE.",
        "design",
    ),
)
"""(term, meaning, source)."""
