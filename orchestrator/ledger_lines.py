"""The lines of a ledger as text. Standard library only: the guardian reads them, too."""

from __future__ import annotations

import json
from typing import Any


def open_entries(text: str) -> dict[str, dict[str, Any]]:
    """Receipts that were opened and not healed, by fault, the oldest first. A line that a crash cut off counts as not written."""
    found: dict[str, dict[str, Any]] = {}
    for line in text.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if entry["event"] == "opened":
            found[entry["receipt"]["fault"]] = entry["receipt"]
        else:
            found.pop(entry["fault"], None)
    return found
