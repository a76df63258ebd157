"""Writing points, payloads and payload indexes, from JSON to the engine's operations."""

from collections.abc import Callable
from typing import Any

import qdrant_edge as edge

from sandbox.qdrant.errors import engine_errors, not_supported, wrong_input
from sandbox.qdrant.filters import parse_filter

Json = dict[str, Any]

_INDEX_TYPES = {
    name.lower(): (getattr(edge.PayloadSchemaType, name), getattr(edge, f"{name}IndexParams"))
    for name in ("Keyword", "Integer", "Float", "Bool", "Datetime", "Uuid", "Text", "Geo")
}


def upsert(body: Json) -> Any:
    """Points as structs ({"points": [...]}) or as columns ({"batch": {...}})."""
    _refuse(body, "shard_key", "update_filter", "update_mode")
    with engine_errors():
        if body.get("batch") is not None:
            return edge.UpdateOperation.upsert_points(_columns(body["batch"]))
        return edge.UpdateOperation.upsert_points([_point(each) for each in body["points"]])


def delete(body: Json) -> Any:
    """Points by ids or by filter."""
    return _selected(body, edge.UpdateOperation.delete_points, edge.UpdateOperation.delete_points_by_filter)


def set_payload(body: Json) -> Any:
    """Merge `payload` into the selected points."""
    operations = edge.UpdateOperation
    return _selected(body, operations.set_payload, operations.set_payload_by_filter, body.get("payload"), body.get("key"))


def overwrite_payload(body: Json) -> Any:
    """Replace the payload of the selected points."""
    operations = edge.UpdateOperation
    by_ids, by_filter = operations.overwrite_payload, operations.overwrite_payload_by_filter
    return _selected(body, by_ids, by_filter, body.get("payload"), body.get("key"))


def delete_payload(body: Json) -> Any:
    """Remove `keys` from the payload of the selected points."""
    operations = edge.UpdateOperation
    return _selected(body, operations.delete_payload, operations.delete_payload_by_filter, body.get("keys"))


def clear_payload(body: Json) -> Any:
    """Empty the payload of the selected points."""
    return _selected(body, edge.UpdateOperation.clear_payload, edge.UpdateOperation.clear_payload_by_filter)


def create_index(body: Json) -> Any:
    """An index on a payload field; the schema is a type name or an object with `type` and its settings."""
    schema = body.get("field_schema")
    settings = dict(schema) if isinstance(schema, dict) else {"type": schema}
    kind = settings.pop("type", None)
    if not isinstance(kind, str) or kind not in _INDEX_TYPES:
        raise wrong_input(f"unknown field schema `{kind}`")
    simple, parametrised = _INDEX_TYPES[kind]
    if any(isinstance(value, str | list | dict) for value in settings.values()):
        raise not_supported(f"settings {', '.join(sorted(settings))} of a {kind} index")
    with engine_errors():
        return edge.UpdateOperation.create_field_index(body["field_name"], parametrised(**settings) if settings else simple)


def delete_index(field: str) -> Any:
    """Drop the index on a payload field."""
    return edge.UpdateOperation.delete_field_index(field)


def _refuse(body: Json, *keys: str) -> None:
    if refused := [key for key in keys if body.get(key) is not None]:
        raise not_supported(", ".join(refused))


def _point(body: Json) -> Any:
    return edge.Point(body["id"], body["vector"], body.get("payload") or {})


def _columns(batch: Json) -> list[Any]:
    ids, vectors = batch["ids"], batch["vectors"]
    if isinstance(vectors, dict):
        vectors = [dict(zip(vectors, row, strict=True)) for row in zip(*vectors.values(), strict=True)]
    payloads = batch.get("payloads") or [None] * len(ids)
    return [edge.Point(*row[:2], row[2] or {}) for row in zip(ids, vectors, payloads, strict=True)]


def _selected(body: Json, by_ids: Callable[..., Any], by_filter: Callable[..., Any], *arguments: Any) -> Any:
    _refuse(body, "shard_key")
    with engine_errors():
        if body.get("points") is not None:
            return by_ids(body["points"], *arguments)
        if body.get("filter") is not None:
            return by_filter(parse_filter(body["filter"]), *arguments)
    raise wrong_input("select points by `points` or by `filter`")
