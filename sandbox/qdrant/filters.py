"""Qdrant's JSON filters as the engine's filter objects."""

from collections.abc import Callable
from typing import Any

import qdrant_edge as edge

from sandbox.qdrant.errors import not_supported, wrong_input

Json = dict[str, Any]

_MATCHES: dict[str, Callable[[Any], Any]] = {
    "value": edge.MatchValue,
    "any": edge.MatchAny,
    "except": edge.MatchExcept,
    "text": edge.MatchText,
    "text_any": edge.MatchTextAny,
    "phrase": edge.MatchPhrase,
    "prefix": edge.MatchPrefix,
    "substring": edge.MatchSubstring,
}
_CLAUSES = {"must", "should", "must_not", "min_should"}
_FIELD_KEYS = {"key", "match", "range", "values_count", "is_empty", "is_null"}
_GEO_KEYS = {"geo_bounding_box", "geo_radius", "geo_polygon"}


def parse_filter(body: Json | None) -> Any:
    """The engine's `Filter`, or None when the request has none; raises `ApiError`."""
    if body is None:
        return None
    if not isinstance(body, dict):
        raise wrong_input("a filter must be an object")
    given = {key: value for key, value in body.items() if value is not None}
    if unknown := given.keys() - _CLAUSES:
        raise wrong_input(f"unknown filter clauses: {', '.join(sorted(unknown))}")
    return edge.Filter(
        must=_conditions(given.get("must")),
        should=_conditions(given.get("should")),
        must_not=_conditions(given.get("must_not")),
        min_should=_min_should(given.get("min_should")),
    )


def without_point(body: Json | None, point_id: Any) -> Any:
    """The filter `body`, narrowed to every point but `point_id`."""
    itself = edge.HasIdCondition({point_id})
    return edge.Filter(must=None if body is None else [parse_filter(body)], must_not=[itself])


def _conditions(clause: Any) -> list[Any] | None:
    if clause is None:
        return None
    return [_condition(each) for each in (clause if isinstance(clause, list) else [clause])]


def _min_should(clause: Any) -> Any:
    if clause is None:
        return None
    return edge.MinShould(_conditions(clause["conditions"]) or [], clause["min_count"])


def _condition(body: Any) -> Any:
    if not isinstance(body, dict):
        raise wrong_input("a filter condition must be an object")
    given = {key: value for key, value in body.items() if value is not None}
    if "key" in given:
        return _field(given)
    if "has_id" in given:
        return edge.HasIdCondition(set(given["has_id"]))
    if "has_vector" in given:
        return edge.HasVectorCondition(given["has_vector"])
    if "is_empty" in given:
        return edge.IsEmptyCondition(given["is_empty"]["key"])
    if "is_null" in given:
        return edge.IsNullCondition(given["is_null"]["key"])
    if "nested" in given:
        return edge.NestedCondition(given["nested"]["key"], parse_filter(given["nested"]["filter"]))
    return parse_filter(given)


def _field(given: Json) -> Any:
    if geo := given.keys() & _GEO_KEYS:
        raise not_supported(f"filter condition {', '.join(sorted(geo))}")
    if unknown := given.keys() - _FIELD_KEYS:
        raise wrong_input(f"unknown keys in a field condition: {', '.join(sorted(unknown))}")
    return edge.FieldCondition(
        given["key"],
        match=_match(given.get("match")),
        range=_range(given.get("range")),
        values_count=edge.ValuesCount(**given["values_count"]) if "values_count" in given else None,
        is_empty=given.get("is_empty"),
        is_null=given.get("is_null"),
    )


def _match(body: Json | None) -> Any:
    if body is None:
        return None
    for kind, build in _MATCHES.items():
        if kind in body:
            return build(body[kind])
    raise wrong_input(f"unknown match: {', '.join(sorted(body))}")


def _range(body: Json | None) -> Any:
    if body is None:
        return None
    is_datetime = any(isinstance(bound, str) for bound in body.values())
    return edge.RangeDateTime(**body) if is_datetime else edge.RangeFloat(**body)
