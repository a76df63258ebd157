"""What this server refuses, as HTTP status and words; translation of the engine's exceptions."""

from collections.abc import Iterator
from contextlib import contextmanager


class ApiError(Exception):
    """A request that is answered with an error envelope."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def wrong_input(message: str) -> ApiError:
    """400: the request itself is wrong."""
    return ApiError(400, f"Wrong input: {message}")


def not_found(message: str) -> ApiError:
    """404: the named thing does not exist."""
    return ApiError(404, f"Not found: {message}")


def not_supported(what: str) -> ApiError:
    """501: Qdrant can do it, this server cannot."""
    return ApiError(501, f"Not supported by this server: {what}")


_ENGINE_FAULTS = ("Service internal error", "Service runtime error", "OutOfMemory")


def _translated(error: Exception) -> ApiError:
    if isinstance(error, KeyError):
        return wrong_input(f"missing field {error}")
    message = str(error)
    if message.startswith("No point with id"):
        return not_found(message)
    if message.startswith(_ENGINE_FAULTS):
        return ApiError(500, message)
    return wrong_input(message)


@contextmanager
def engine_errors() -> Iterator[None]:
    """Turn whatever the engine raises, and a field missing in a request for it, into an `ApiError`.

    The binding has no exception class of its own: it raises bare `Exception` for a wrong dimension or an unknown
    vector name and `TypeError`, `ValueError` or `OverflowError` for arguments that it cannot convert.
    """
    try:
        yield
    except ApiError:
        raise
    except Exception as error:
        raise _translated(error) from error
