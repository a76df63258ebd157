"""Errors that the API answers with, texts and codes as clients of Toxiproxy know them."""


class ApiError(Exception):
    """Becomes the body {"error": message, "status": status} and the HTTP status code."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def bad_body(reason: str) -> ApiError:
    return ApiError(400, f"bad request body: {reason}")


def missing_field(name: str) -> ApiError:
    return ApiError(400, f"missing required field: {name}")


def proxy_not_found() -> ApiError:
    return ApiError(404, "proxy not found")


def proxy_exists() -> ApiError:
    return ApiError(409, "proxy already exists")


def toxic_not_found() -> ApiError:
    return ApiError(404, "toxic not found")


def toxic_exists() -> ApiError:
    return ApiError(409, "toxic already exists")


def invalid_stream() -> ApiError:
    return ApiError(400, "stream was invalid, can be either upstream or downstream")


def invalid_toxic_type() -> ApiError:
    return ApiError(400, "invalid toxic type")
