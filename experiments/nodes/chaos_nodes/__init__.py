"""A fault package: two faults that need real nodes, done by commands that the target description names. From outside the cluster only."""
