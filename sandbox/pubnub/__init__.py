"""A PubNub-compatible HTTP server: publish, subscribe, history, signals and occupancy; no groups, filters or presence events."""
