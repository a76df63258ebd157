"""DO: the imperative shell. Plan, run, load, faults, ledger, reports. No verdict is decided here."""
