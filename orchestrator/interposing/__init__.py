"""A Toxiproxy in the path of a Service for the time of a run (ADR 0025). A preparation, not a fault: nothing of it is judged."""
