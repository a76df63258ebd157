"""Numbered sync operations: their names, the request that makes one, and the way to know one again when it arrives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pydantic import JsonValue

from probes.target import TargetDescription


@dataclass(frozen=True, slots=True)
class OperationNames:
    """Names the operations of one run: `probe-RUN-USER-NUMBER`."""

    run_id: str

    def name(self, user: str, number: int) -> str:
        return f"probe-{self.run_id}-{user}-{number}"

    def number(self, user: str, name: str) -> int | None:
        """The number in a name of this run and user; None for any other name."""
        prefix = f"probe-{self.run_id}-{user}-"
        digits = name.removeprefix(prefix)
        return int(digits) if name.startswith(prefix) and digits.isdecimal() else None

    def numbers(self, user: str, payload: object) -> list[int]:
        """The operations of this run and user that a message carries, wherever in it their `operation_id` stands."""
        found = (self.number(user, name) for name in _operation_ids(payload))
        return [number for number in found if number is not None]


def operation_body(description: TargetDescription, route: str, values: Mapping[str, str]) -> dict[str, JsonValue]:
    """The route's body with its fields filled in; it always carries the operation's name."""
    body = _filled(description.routes[route].body, values)
    return {**(body if isinstance(body, dict) else {}), "operation_id": values["operation_id"]}


def _filled(template: JsonValue, values: Mapping[str, str]) -> JsonValue:
    if isinstance(template, str):
        for key, value in values.items():
            template = template.replace("{" + key + "}", value)
        return template
    if isinstance(template, dict):
        return {key: _filled(value, values) for key, value in template.items()}
    return [_filled(value, values) for value in template] if isinstance(template, list) else template


def _operation_ids(payload: object) -> Iterator[str]:
    if isinstance(payload, dict):
        if isinstance(name := payload.get("operation_id"), str):
            yield name
        for value in payload.values():
            yield from _operation_ids(value)
    elif isinstance(payload, list):
        for value in payload:
            yield from _operation_ids(value)
