"""SONA: recommendations and personal order, from a small adapter per user."""

import asyncio
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.services.address import Address
from sandbox.services.database import Cluster, DatabaseDown, cluster
from sandbox.services.guard import StoreError
from sandbox.services.service import Service, error_response, json_body, json_response
from sandbox.settings import Settings

Vector = NDArray[np.float32]
_DIMENSIONS = 32
_PERSONAL_SHARE = 0.3
_LARGEST_LIMIT = 100
_ITEMS = "SELECT id, genres, popularity_score FROM content ORDER BY popularity_score DESC, id"
_TASTE = "SELECT content_id FROM watchlist WHERE user_id = $1 AND NOT add_tags <@ removed_tags LIMIT 50"
_RETRY_S = 0.5
# All items are more than a replica's time-out for one answer allows.
_LOAD_LIMIT_S = 5.0


@dataclass(frozen=True, slots=True)
class Model:
    """All items, the most popular first: their rows, features and popularity."""

    ids: list[str]
    rows: dict[str, int]
    features: Vector
    popularity: Vector

    def score(self, rows: NDArray[np.intp], base: Vector, adapter: Vector) -> Vector:
        """The scores of items (by row) under an adapter; `base` is what they are worth to everybody."""
        personal = self.features[rows] @ adapter
        scores: Vector = (1 - _PERSONAL_SHARE) * base + _PERSONAL_SHARE * personal
        return scores


def _direction(text: str) -> Vector:
    seed = int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")
    return _unit(np.random.default_rng(seed).standard_normal(_DIMENSIONS, dtype=np.float32))


def _unit(vector: Vector) -> Vector:
    return vector / np.float32(np.linalg.norm(vector) or 1.0)


@cache
def _features(genres: tuple[str, ...]) -> Vector:
    return _unit(sum((_direction(genre) for genre in genres), np.zeros(_DIMENSIONS, dtype=np.float32)))


_GLOBAL_ADAPTER = _direction("everybody")


async def load(database: Cluster) -> Model:
    """The model of the items in the database; raises DatabaseDown."""
    items = await database.read(lambda connection: connection.fetch(_ITEMS), limit_s=_LOAD_LIMIT_S)
    features = [_features(tuple(item["genres"])) for item in items]
    ids = [item["id"] for item in items]
    return Model(
        ids,
        {content_id: row for row, content_id in enumerate(ids)},
        np.array(features, dtype=np.float32).reshape(len(ids), _DIMENSIONS),
        np.array([item["popularity_score"] for item in items], dtype=np.float32),
    )


class Sona(Service):
    """Ready once the items are loaded; without Redis it gives everybody the global adapter."""

    name = "sona"

    def __init__(self, settings: Settings, address: Address) -> None:
        super().__init__(settings, address)
        self._cluster = cluster(address.need("postgres_primary_dsn"), address.replica_dsns, settings, self.metrics)
        self._model: Model | None = None

    def routes(self) -> list[Route]:
        """Recommendations for clients, personal order for discovery."""
        return [
            Route("/api/v1/sona/recommendations", self._recommend, methods=["POST"]),
            Route("/rerank", self._rerank, methods=["POST"]),
        ]

    def is_ready(self) -> bool:
        """Whether the items are loaded."""
        return self._model is not None

    async def start(self) -> None:
        """Loads the items, now and then again."""
        self.in_background(self._keep_loaded())

    async def stop(self) -> None:
        """Gives the connections back."""
        await self._cluster.close()

    async def _keep_loaded(self) -> None:
        await self._cluster.warm_up()
        while True:
            try:
                self._model = await load(self._cluster)
            except DatabaseDown as error:
                self.log.warning("the items were not loaded", extra={"cause": str(error)})
            empty = self._model is None or not self._model.ids
            await asyncio.sleep(_RETRY_S if empty else self.settings.sona_reload_s)

    async def _recommend(self, request: Request) -> Response:
        try:
            body = await json_body(request)
            limit, user_id = _asked(body, request)
        except (ValueError, TypeError) as error:
            return error_response(400, "BAD_REQUEST", str(error))
        if (model := self._model) is None:
            return error_response(503, "SERVICE_UNAVAILABLE", "the items are not loaded yet", retry_after_s=1)
        adapter, degraded = await self._adapter(user_id, model)
        rows = np.arange(min(self.settings.sona_candidates, len(model.ids)))
        scores = model.score(rows, model.popularity[rows], adapter)
        best = np.argsort(-scores, kind="stable")[:limit]
        picks = [{"content_id": model.ids[row], "score": round(float(scores[row]), 5)} for row in best]
        return self._response({"recommendations": picks}, degraded=degraded)

    async def _rerank(self, request: Request) -> Response:
        body = await json_body(request)
        if (model := self._model) is None:
            return error_response(503, "SERVICE_UNAVAILABLE", "the items are not loaded yet", retry_after_s=1)
        adapter, degraded = await self._adapter(body.get("user_id"), model)
        known = [(place, row, score) for place, (item, score) in enumerate(body["items"]) if (row := model.rows.get(item)) is not None]
        scores = np.array([score for _, score in body["items"]], dtype=np.float32)
        if known:
            places, rows, base = (np.array(column) for column in zip(*known, strict=True))
            scores[places] = model.score(rows, base.astype(np.float32), adapter)
        return self._response({"scores": [round(float(score), 5) for score in scores]}, degraded=degraded)

    def _response(self, answer: dict[str, Any], *, degraded: bool) -> Response:
        if not degraded:
            return json_response(answer)
        self.metrics.fallbacks.add("global-adapter")
        marks = {"warnings": ["the personal adapter is away: in general order"], "partial_results": True}
        return json_response(answer | marks, headers={"X-Degraded": "global-adapter"})

    async def _adapter(self, user_id: str | None, model: Model) -> tuple[Vector, bool]:
        """The user's adapter, and whether it is only the global one because the store failed."""
        if not user_id:
            return _GLOBAL_ADAPTER, False
        key, limit_s = f"lora:{user_id}", self.settings.sona_redis_limit_s
        try:
            kept = await self.store.get(key, limit_s=limit_s)
            self.metrics.cached("lora", hit=kept is not None)
            if kept is not None:
                return np.frombuffer(kept, dtype=np.float32), False
            adapter = await self._taught(user_id, model)
            await self.store.put(key, adapter.tobytes(), ttl_s=self.settings.lora_ttl_s)
        except StoreError:
            return _GLOBAL_ADAPTER, True
        return adapter, False

    async def _taught(self, user_id: str, model: Model) -> Vector:
        """The user's own direction, drawn to what is on the watchlist."""
        try:
            rows = await self._cluster.fetch(_TASTE, user_id)
        except DatabaseDown:
            rows = []
        liked = [model.features[model.rows[row["content_id"]]] for row in rows if row["content_id"] in model.rows]
        return _unit(sum(liked, _direction(user_id)))


def _asked(body: dict[str, Any], request: Request) -> tuple[int, str | None]:
    """How many items for whom; the token's user before the one of the body. Raises ValueError or TypeError."""
    limit, user_id = int(body.get("limit", 20)), body.get("user_id")
    if limit < 1 or not isinstance(user_id, str | None):
        raise ValueError("limit must be a number from 1, user_id a text")
    return min(limit, _LARGEST_LIMIT), request.headers.get("x-user-id") or user_id
