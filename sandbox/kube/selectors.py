"""Label selectors (text and object form) and field selectors."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from sandbox.kube import errors
from sandbox.kube.objects import Object, field, labels_of

Predicate = Callable[[Object], bool]

_SET_BASED = re.compile(r"^\s*([\w./-]+)\s+(in|notin)\s+\(([^)]*)\)\s*$")
_EQUALITY = re.compile(r"^\s*([\w./-]+)\s*(==|=|!=)\s*([\w.-]*)\s*$")
_PRESENCE = re.compile(r"^\s*(!?)\s*([\w./-]+)\s*$")
_COMMA_OUTSIDE_PARENTHESES = re.compile(r",(?![^(]*\))")


def label_predicate(text: str) -> Predicate:
    """The predicate of a `labelSelector` query parameter. Raises ApiError 400 when it cannot be read."""
    if not text.strip():
        return lambda obj: True
    requirements = [_requirement(part) for part in _COMMA_OUTSIDE_PARENTHESES.split(text)]
    return lambda obj: all(requirement(labels_of(obj)) for requirement in requirements)


def _requirement(text: str) -> Callable[[Mapping[str, str]], bool]:
    if match := _SET_BASED.match(text):
        key, operator, values = match.groups()
        return _one_of(key, operator, {value.strip() for value in values.split(",")})
    if match := _EQUALITY.match(text):
        key, operator, value = match.groups()
        return _one_of(key, "notin" if operator == "!=" else "in", {value})
    if match := _PRESENCE.match(text):
        negated, key = match.groups()
        return lambda labels: (key not in labels) if negated else (key in labels)
    raise errors.bad_request(f'unable to parse requirement: "{text}"')


def _one_of(key: str, operator: str, values: set[str]) -> Callable[[Mapping[str, str]], bool]:
    if operator == "in":
        return lambda labels: labels.get(key) in values
    return lambda labels: labels.get(key) not in values


def matches(selector: Mapping[str, Any] | None, labels: Mapping[str, str]) -> bool:
    """Whether a LabelSelector object (matchLabels, matchExpressions) selects these labels; an empty one selects all."""
    selector = selector or {}
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_expression_matches(entry, labels) for entry in selector.get("matchExpressions") or ())


def _expression_matches(entry: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, operator, values = entry["key"], entry["operator"], entry.get("values") or ()
    match operator:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case _:
            return key not in labels


def selector_text(selector: Mapping[str, Any] | None) -> str:
    """A LabelSelector object in the text form that `/scale` shows."""
    selector = selector or {}
    parts = [f"{key}={value}" for key, value in sorted((selector.get("matchLabels") or {}).items())]
    for entry in selector.get("matchExpressions") or ():
        key, values = entry["key"], ",".join(entry.get("values") or ())
        forms = {"In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})", "Exists": key}
        parts.append(forms.get(entry["operator"], f"!{key}"))
    return ",".join(parts)


def field_predicate(text: str, supported: tuple[str, ...]) -> Predicate:
    """The predicate of a `fieldSelector` query parameter. Raises ApiError 400 for a field that is not supported."""
    if not text.strip():
        return lambda obj: True
    terms = [_field_term(part, supported) for part in text.split(",") if part.strip()]
    return lambda obj: all(term(obj) for term in terms)


def _field_term(text: str, supported: tuple[str, ...]) -> Predicate:
    match = re.match(r"^\s*([\w.]+)\s*(==|=|!=)\s*(.*?)\s*$", text)
    if match is None:
        raise errors.bad_request(f"invalid field selector: '{text}'; can't understand '{text}'")
    path, operator, value = match.groups()
    if path not in supported:
        raise errors.bad_request(f"field label not supported: {path}")
    if operator == "!=":
        return lambda obj: _text(field(obj, path)) != value
    return lambda obj: _text(field(obj, path)) == value


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
