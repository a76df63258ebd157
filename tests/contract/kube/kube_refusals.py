"""What a refusal of the API looks like."""

import json
from typing import Any

import pytest
from kubernetes.client.exceptions import ApiException


def refused(code: int, reason: str, call: Any, *arguments: Any, **named: Any) -> dict[str, Any]:
    """The Status of a call that must be refused so."""
    with pytest.raises(ApiException) as caught:
        call(*arguments, **named)
    status: dict[str, Any] = json.loads(caught.value.body)
    assert (caught.value.status, status["kind"], status["reason"], status["code"]) == (code, "Status", reason, code), status
    return status
