"""The ledger: receipts of injections that are not healed yet, on disk before the first write to a target."""

from __future__ import annotations

import json
import os
from pathlib import Path

from pydantic import ValidationError

from orchestrator.errors import HarnessError
from orchestrator.faults.base import Receipt
from orchestrator.ledger_lines import open_entries


class Ledger:
    """An append-only file of openings and closings, synced to disk at each line."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def open(self, receipt: Receipt) -> None:
        """Write the receipt down. Raises HarnessError: without a receipt on disk nothing may be injected.

        One fault has one receipt: a second would hide what the first must heal.
        """
        if any(one.fault == receipt.fault for one in self.open_receipts()):
            raise HarnessError(f"the ledger {self.path} has an open receipt of {receipt.fault} already: heal it first")
        self._append({"event": "opened", "receipt": receipt.model_dump(mode="json")})

    def close(self, receipt: Receipt) -> None:
        """The injection is healed, and that was read back."""
        self._append({"event": "healed", "fault": receipt.fault})

    def open_receipts(self) -> list[Receipt]:
        """Receipts not yet healed, the newest first. Raises HarnessError when the ledger or a receipt cannot be read."""
        if not self.path.exists():
            return []
        try:
            return [Receipt.model_validate(one) for one in reversed(open_entries(self._read()).values())]
        except (ValidationError, KeyError, TypeError) as error:
            raise HarnessError(f"a receipt in the ledger {self.path} cannot be read; take away by hand what it names") from error

    def _read(self) -> str:
        try:
            return self.path.read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            raise HarnessError(f"the ledger {self.path} cannot be read: {error}") from error

    def _append(self, entry: dict[str, object]) -> None:
        try:
            with self.path.open("a+", encoding="utf-8", errors="replace") as file:
                # A crash may have cut the last line off: what follows must not be lost with it.
                torn = file.tell() > 0 and not self._read().endswith("\n")
                file.write(("\n" if torn else "") + json.dumps(entry) + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise HarnessError(f"the ledger {self.path} cannot be written: {error}") from error
