"""Reading points: query, search, scroll, count and retrieve, from JSON to JSON."""

from typing import Any

import qdrant_edge as edge

from sandbox.qdrant.collections import Collection
from sandbox.qdrant.errors import engine_errors, not_found, not_supported, wrong_input
from sandbox.qdrant.filters import parse_filter, without_point

Json = dict[str, Any]

# Source: Qdrant's API reference, defaults of `limit`.
_QUERY_LIMIT = 10
_SCROLL_LIMIT = 10
_QUERY_KEYS = {"query", "using", "filter", "params", "score_threshold", "limit", "offset", "with_vector", "with_payload"}
_PARAM_KEYS = {"hnsw_ef", "exact", "indexed_only"}


def query(collection: Collection, body: Json) -> Json:
    """Result of POST .../points/query."""
    with engine_errors():
        return {"points": [_scored(point) for point in collection.shard.query(_query_request(collection, body))]}


def query_batch(collection: Collection, body: Json) -> list[Json]:
    """Result of POST .../points/query/batch."""
    with engine_errors():
        requests = [_query_request(collection, each) for each in body["searches"]]
        answers = collection.shard.query_batch(edge.QueryBatchRequest(requests))
        return [{"points": [_scored(point) for point in points]} for points in answers]


def search(collection: Collection, body: Json) -> list[Json]:
    """Result of POST .../points/search, the older form of a query."""
    given = dict(body)
    vector = given.pop("vector", None)
    if isinstance(vector, dict):
        given["using"], vector = vector.get("name"), vector.get("vector")
    if not isinstance(vector, list):
        raise wrong_input("`vector` must be a list of numbers")
    points: list[Json] = query(collection, given | {"query": vector})["points"]
    return points


def scroll(collection: Collection, body: Json) -> Json:
    """Result of POST .../points/scroll: a page in the order of the ids, or of a payload field."""
    order_by = body.get("order_by")
    with engine_errors():
        request = edge.ScrollRequest(
            offset=body.get("offset"),
            limit=_limit(body, _SCROLL_LIMIT),
            filter=parse_filter(body.get("filter")),
            with_payload=_payload_selector(body.get("with_payload"), default=True),
            with_vector=body.get("with_vector") or False,
            order_by=None if order_by is None else _order_by(order_by),
        )
        records, next_offset = collection.shard.scroll(request)
    return {"points": [_record(record) for record in records], "next_page_offset": next_offset}


def count(collection: Collection, body: Json) -> Json:
    """Result of POST .../points/count."""
    exact = body.get("exact")
    with engine_errors():
        request = edge.CountRequest(exact=exact is None or exact, filter=parse_filter(body.get("filter")))
        return {"count": collection.shard.count(request)}


def retrieve(collection: Collection, body: Json) -> list[Json]:
    """Result of POST .../points: the points with the given ids; unknown ids are left out."""
    with engine_errors():
        records = collection.shard.retrieve(
            body["ids"],
            _payload_selector(body.get("with_payload"), default=True),
            body.get("with_vector") or False,
        )
    return [_record(record) for record in records]


def retrieve_one(collection: Collection, text: str) -> Json:
    """Result of GET .../points/{id}; raises `ApiError` 404."""
    point_id = int(text) if text.isdecimal() else text
    found = retrieve(collection, {"ids": [point_id], "with_vector": True})
    if not found:
        raise not_found(f"Point with id {text} does not exists!")
    return found[0]


def _query_request(collection: Collection, body: Json) -> Any:
    given = {key: value for key, value in body.items() if value is not None}
    if unknown := given.keys() - _QUERY_KEYS:
        raise not_supported(f"query with {', '.join(sorted(unknown))}")
    wanted, using, conditions = given.get("query"), given.get("using", ""), given.get("filter")
    if isinstance(wanted, dict) and "nearest" in wanted and wanted.get("mmr") is None:
        wanted = wanted["nearest"]
    if isinstance(wanted, int | str):
        scoring, chosen = _nearest_to(collection, wanted, using), without_point(conditions, wanted)
    else:
        scoring, chosen = _scoring(wanted, using), parse_filter(conditions)
    return edge.QueryRequest(
        limit=_limit(given, _QUERY_LIMIT),
        offset=given.get("offset"),
        query=scoring,
        with_vector=given.get("with_vector", False),
        with_payload=_payload_selector(given.get("with_payload"), default=False),
        filter=chosen,
        score_threshold=given.get("score_threshold"),
        params=_params(given.get("params")),
    )


def _scoring(wanted: Any, using: str) -> Any:
    if wanted is None:
        return None
    if isinstance(wanted, list):
        return edge.Query.Nearest(wanted, using)
    if isinstance(wanted, dict) and "order_by" in wanted:
        return _order_by(wanted["order_by"])
    if isinstance(wanted, dict) and wanted.get("sample") == "random":
        return edge.Sample.Random
    kind = ", ".join(sorted(wanted)) if isinstance(wanted, dict) else type(wanted).__name__
    raise not_supported(f"query by {kind}")


def _nearest_to(collection: Collection, point_id: int | str, using: str) -> Any:
    records = collection.shard.retrieve([point_id], False, True)
    if not records:
        raise not_found(f"No point with id {point_id} found")
    vector = records[0].vector
    return edge.Query.Nearest(vector[using] if isinstance(vector, dict) else vector, using)


def _order_by(body: Any) -> Any:
    if isinstance(body, str):
        return edge.OrderBy(body)
    directions = {"asc": edge.Direction.Asc, "desc": edge.Direction.Desc, None: None}
    direction = body.get("direction")
    if direction not in directions:
        raise wrong_input(f"unknown direction `{direction}`")
    return edge.OrderBy(body["key"], direction=directions[direction], start_from=body.get("start_from"))


def _params(body: Json | None) -> Any:
    if body is None:
        return None
    given = {key: value for key, value in body.items() if value is not None}
    if unknown := given.keys() - _PARAM_KEYS:
        raise not_supported(f"search params {', '.join(sorted(unknown))}")
    return edge.SearchParams(**given)


def _limit(body: Json, default: int) -> int:
    limit = body.get("limit")
    if limit is None:
        return default
    if not isinstance(limit, int) or limit < 1:
        raise wrong_input(f"limit must be 1 or more, not {limit}")
    return limit


def _payload_selector(body: Any, *, default: bool) -> Any:
    if body is None:
        return default
    if not isinstance(body, dict):
        return body
    if body.get("include") is not None:
        return edge.PayloadSelector.Include(body["include"])
    return edge.PayloadSelector.Exclude(body.get("exclude") or [])


def _scored(point: Any) -> Json:
    item = _record(point)
    item["version"] = point.version
    item["score"] = point.score
    return item


def _record(point: Any) -> Json:
    item = {"id": point.id}
    if (payload := point.payload) is not None:
        item["payload"] = payload
    if (vector := point.vector) is not None:
        item["vector"] = vector
    if (order_value := point.order_value) is not None:
        item["order_value"] = order_value
    return item
