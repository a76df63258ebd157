"""What an operator says to a running run from another terminal: files in the run's directory, each written whole."""

from __future__ import annotations

import contextlib
import json
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, get_args

from orchestrator.errors import RefusedError

Word = Literal["abort", "note"]


@dataclass(frozen=True, slots=True)
class Message:
    """`t`: the instant at which it was said, by this machine's monotonic clock (s), which the run shares."""

    kind: Word
    text: str
    t: float


class Inbox:
    """The messages of one run. Those that nobody can read are set aside, never lost."""

    def __init__(self, run_directory: Path) -> None:
        self._path = run_directory / "inbox"
        self._taken: set[str] = set()

    def send(self, message: Message) -> None:
        """Raises RefusedError when the run's directory may not be written to."""
        name = f"{message.t:017.6f}-{secrets.token_hex(4)}"
        try:
            self._path.mkdir(exist_ok=True)
            unfinished = self._path / f".{name}"
            unfinished.write_text(json.dumps(asdict(message)), encoding="utf-8")
            unfinished.rename(self._path / f"{name}.json")
        except OSError as error:
            raise RefusedError(f"{self._path} cannot be written ({error.strerror})") from error

    def take(self) -> list[Message]:
        """New messages, the earliest first; each is taken once, also where it cannot be marked as read."""
        found = []
        for path in sorted(self._path.glob("*.json")):
            if path.name in self._taken:
                continue
            self._taken.add(path.name)
            message = _read(path)
            with contextlib.suppress(OSError):
                path.rename(path.with_suffix(".read" if message else ".unreadable"))
            if message:
                found.append(message)
        return found


def _read(path: Path) -> Message | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        message = Message(content["kind"], str(content["text"]), float(content["t"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return message if message.kind in get_args(Word) else None
