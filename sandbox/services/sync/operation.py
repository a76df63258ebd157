"""A change that a device asks for, as the requests carry it."""

import uuid
from dataclasses import dataclass
from typing import Any

_LONGEST_ID = 100


@dataclass(frozen=True, slots=True)
class Operation:
    """What all changes have; `operation_id` is the idempotency key of this user."""

    user_id: str
    operation_id: str
    content_id: str
    device_id: str
    kind: str
    verb: str

    @property
    def channel(self) -> str:
        """The PubNub channel of the user's devices."""
        return f"user.{self.user_id}.sync"

    def message(self, hlc: str) -> dict[str, Any]:
        """What the other devices get."""
        return {
            "type": self.kind,
            "operation": self.verb,
            "content_id": self.content_id,
            "operation_id": self.operation_id,
            "device_id": self.device_id,
            "hlc": hlc,
            "user_id": self.user_id,
        }


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a title was watched, in seconds."""

    position_s: int
    duration_s: int
    state: str


def watchlist_change(body: dict[str, Any], user_id: str) -> Operation:
    """The add or remove of a request body; raises ValueError with the reason."""
    verb = body.get("operation")
    if verb not in ("add", "remove"):
        raise ValueError("operation must be add or remove")
    return _operation(body, user_id, "watchlist_update", verb)


def progress_change(body: dict[str, Any], user_id: str) -> tuple[Operation, Progress]:
    """The position of a request body; raises ValueError with the reason."""
    position, duration, state = body.get("position_seconds"), body.get("duration_seconds", 0), body.get("state", "playing")
    if not isinstance(position, int) or not isinstance(duration, int) or position < 0 or duration < 0:
        raise ValueError("position_seconds and duration_seconds must be whole numbers from 0")
    if not isinstance(state, str) or len(state) > _LONGEST_ID:
        raise ValueError("state must be a short text")
    return _operation(body, user_id, "progress_update", "set"), Progress(position, duration, state)


def _operation(body: dict[str, Any], user_id: str, kind: str, verb: str) -> Operation:
    content_id = body.get("content_id")
    device_id = body.get("device_id") or "unknown"
    operation_id = body.get("operation_id") or uuid.uuid4().hex
    for name, value in (("content_id", content_id), ("device_id", device_id), ("operation_id", operation_id)):
        if not isinstance(value, str) or not 0 < len(value) <= _LONGEST_ID:
            raise ValueError(f"{name} must be a text of 1 to {_LONGEST_ID} characters")
    return Operation(user_id, str(operation_id), str(content_id), str(device_id), kind, verb)
