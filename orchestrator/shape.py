"""The shape of an experiment file: lists and objects where they belong. A mistake is a PlanError, before anything reads the content."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.errors import PlanError

_WORDS: dict[type, str] = {bool: "true or false", int: "a number", float: "a number", str: "a text", list: "a list", dict: "an object"}


def check_shape(experiment: object) -> None:
    """Everything that the plan looks into is of the right kind. Raises PlanError."""
    whole = _object(experiment, "the experiment")
    for key in ("title", "description"):
        _text(whole, key, key)
    _objects(whole, "extensions", "extensions", optional=True)
    for index, control in enumerate(_objects(whole, "controls", "controls", optional=True)):
        _object(control.get("provider"), f"controls[{index}].provider")
    hypothesis = _object(whole.get("steady-state-hypothesis", {}), "steady-state-hypothesis")
    _activities(hypothesis, "probes", "steady-state-hypothesis.probes", optional=True)
    _activities(whole, "method", "method")
    _activities(whole, "rollbacks", "rollbacks", optional=True)


def _activities(holder: Mapping[str, Any], name: str, key: str, *, optional: bool = False) -> None:
    for index, activity in enumerate(_objects(holder, name, key, optional=optional)):
        where = f"{key}[{index}]"
        if "ref" in activity:
            raise PlanError(f"{where}.ref", "the plan must show each activity whole", "write the activity out where it belongs")
        _text(activity, "name", f"{where}.name")
        provider = _object(activity.get("provider"), f"{where} ({activity['name']}).provider")
        _object(provider.get("arguments", {}), f"{where} ({activity['name']}).provider.arguments")


def _objects(holder: Mapping[str, Any], name: str, key: str, *, optional: bool = False) -> list[Mapping[str, Any]]:
    if optional and name not in holder:
        return []
    found = holder.get(name)
    if not isinstance(found, list):
        raise PlanError(key, _problem(holder, name), "give a list of objects")
    return [_object(entry, f"{key}[{index}]") for index, entry in enumerate(found)]


def _object(value: object, key: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise PlanError(key, f"it is {_word(value)}", "give an object: {...}")
    return value


def _text(holder: Mapping[str, Any], name: str, key: str) -> None:
    value = holder.get(name)
    if not isinstance(value, str) or not value.strip():
        raise PlanError(key, "it is empty" if isinstance(value, str) else _problem(holder, name), "give a text")


def _problem(holder: Mapping[str, Any], name: str) -> str:
    return f"it is {_word(holder[name])}" if name in holder else "it is missing"


def _word(value: object) -> str:
    return "missing or null" if value is None else _WORDS.get(type(value), type(value).__name__)
