"""Open-loop load: the plan, the worker process that keeps it, and the run's side of that process. No verdicts, no faults, no retries."""
