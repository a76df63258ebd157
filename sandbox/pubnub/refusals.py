"""Answers that are not 200, in the shapes that PubNub gives them."""

from typing import Any


class RefusedError(Exception):
    """A request that is answered with an error."""

    def __init__(self, status: int, content: Any) -> None:
        super().__init__(f"{status}: {content}")
        self.status = status
        self.content = content


def plain(status: int, message: str, service: str = "Balancer") -> RefusedError:
    """The usual error object."""
    return RefusedError(status, {"status": status, "error": True, "service": service, "message": message})


def publish_refused(status: int, message: str, timetoken: int) -> RefusedError:
    """What a publisher gets: [0, reason, timetoken]."""
    return RefusedError(status, [0, message, str(timetoken)])


def not_supported(what: str) -> RefusedError:
    """501: PubNub can do it, this server cannot."""
    return plain(501, f"Not supported by this server: {what}")


def storage_error(message: str) -> dict[str, Any]:
    """The error object of the storage service."""
    return {"status": 400, "error": True, "error_message": message, "channels": {}}
