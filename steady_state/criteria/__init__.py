"""The criteria: one requirement each, as a pure function from the history of a run to a finding. No I/O, no aggregation."""
