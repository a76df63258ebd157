"""Refusals of the API, worded as the real API server words them."""

from typing import Any

from sandbox.kube.objects import Object


class ApiError(Exception):
    """A refusal with an HTTP status code and the body (kind Status) that says why."""

    def __init__(self, code: int, reason: str, message: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details

    def status(self) -> Object:
        """The Status object that is the body of the answer."""
        body: Object = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "code": self.code,
        }
        if self.details is not None:
            body["details"] = self.details
        return body


def _details(plural: str, group: str, name: str) -> dict[str, Any]:
    details = {"name": name, "kind": plural}
    if group:
        details["group"] = group
    return details


def _label(plural: str, group: str) -> str:
    return f"{plural}.{group}" if group else plural


def unauthorized() -> ApiError:
    return ApiError(401, "Unauthorized", "Unauthorized")


def unknown_path() -> ApiError:
    return ApiError(404, "NotFound", "the server could not find the requested resource", {})


def not_found(plural: str, group: str, name: str) -> ApiError:
    return ApiError(404, "NotFound", f'{_label(plural, group)} "{name}" not found', _details(plural, group, name))


def already_exists(plural: str, group: str, name: str) -> ApiError:
    message = f'{_label(plural, group)} "{name}" already exists'
    return ApiError(409, "AlreadyExists", message, _details(plural, group, name))


def conflict(plural: str, group: str, name: str, why: str) -> ApiError:
    message = f'Operation cannot be fulfilled on {_label(plural, group)} "{name}": {why}'
    return ApiError(409, "Conflict", message, _details(plural, group, name))


def forbidden(plural: str, group: str, name: str, why: str) -> ApiError:
    message = f'{_label(plural, group)} "{name}" is forbidden: {why}'
    return ApiError(403, "Forbidden", message, _details(plural, group, name))


def invalid(kind: str, group: str, name: str, field: str, why: str) -> ApiError:
    label = f"{kind}.{group}" if group else kind
    cause = {"reason": "FieldValueInvalid", "message": why, "field": field}
    details = {**_details(kind, group, name), "causes": [cause]}
    return ApiError(422, "Invalid", f'{label} "{name}" is invalid: {field}: {why}', details)


def bad_request(message: str) -> ApiError:
    return ApiError(400, "BadRequest", message)


def method_not_allowed() -> ApiError:
    message = "the server does not allow this method on the requested resource"
    return ApiError(405, "MethodNotAllowed", message, {})


def unsupported_media_type(content_type: str, accepted: str) -> ApiError:
    message = f"the body of the request was in an unknown format ({content_type}) - accepted media types: {accepted}"
    return ApiError(415, "UnsupportedMediaType", message)


def expired(revision: int, floor: int) -> ApiError:
    return ApiError(410, "Expired", f"too old resource version: {revision} ({floor})")


def too_large_revision(wanted: int, current: int) -> ApiError:
    """The real API server waits 3 s for the revision to come before it says so."""
    return ApiError(504, "Timeout", f"Too large resource version: {wanted}, current: {current}", {})


def apply_conflict(fields: list[tuple[str, str]]) -> ApiError:
    """Of managers and the paths of their fields, at least one."""
    said = [f'conflict with "{manager}": {path}' for manager, path in fields]
    message = f"Apply failed with {len(said)} conflict{'s' if len(said) > 1 else ''}: {'; '.join(said)}"
    causes = [{"reason": "FieldManagerConflict", "message": f'conflict with "{manager}"', "field": path} for manager, path in fields]
    return ApiError(409, "Conflict", message, {"causes": causes})


def violates_budget(name: str, desired: int, current: int) -> ApiError:
    cause = f"The disruption budget {name} needs {desired} healthy pods and has {current} currently"
    message = "Cannot evict pod as it would violate the pod's disruption budget."
    return ApiError(429, "TooManyRequests", message, {"causes": [{"reason": "DisruptionBudget", "message": cause}]})


def service_unavailable(message: str) -> ApiError:
    return ApiError(503, "ServiceUnavailable", message)
