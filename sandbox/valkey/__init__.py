"""Valkey as a pod: how the server of the wheel is started. No keys of the platform here."""
