"""Connections to what is looked at: time-outs on every call, one error for "could not look". Nothing here writes or judges."""
