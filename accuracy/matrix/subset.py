"""The rows that CI runs: two sabotages and flaws of different kinds, each on a short experiment."""

CI = (
    "one-replica",
    "breaker-never-opens",
    "retry-storm",
    "no-fallback",
    "fallback-not-marked",
    "no-failover",
    "injection-without-effect",
    "load-at-80-percent",
)
