"""The rows that CI runs: two sabotages and flaws of different kinds, each on a short experiment."""

CI = (
    "one-replica",
    "breaker-never-opens",
    "injection-without-effect",
    "load-at-80-percent",
)
