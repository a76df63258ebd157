"""Runs ended by signals in every phase, under every Python that is installed: healed, reported, exit 1, in time."""
