"""The faults: one short file each. No fault knows another, none keeps time: the run owns instants and holds."""
