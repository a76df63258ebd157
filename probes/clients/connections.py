"""A connection as the server at its far end tells it."""

from __future__ import annotations

from dataclasses import dataclass

OWN_NAME = "chaos-orchestrator"
"""Our readers say it to every server that asks for a name, so that nobody takes us for the application."""


@dataclass(frozen=True, slots=True)
class Connection:
    """One client of a server. `host` is its address as the server sees it; `idle_s` is None while it has asked nothing."""

    identity: str
    host: str
    idle_s: float | None
