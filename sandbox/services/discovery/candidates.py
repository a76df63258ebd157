"""Where a search's candidates come from: Qdrant, else the last-known ones, else PostgreSQL's text search."""

import logging
import time
from dataclasses import dataclass

import orjson

from sandbox.services.database import Cluster
from sandbox.services.discovery import catalogue
from sandbox.services.discovery.query import Query
from sandbox.services.discovery.vectors import Vectors, VectorsDown
from sandbox.services.guard import StoreError
from sandbox.services.store import Store
from sandbox.settings import Settings


@dataclass(frozen=True, slots=True)
class Candidates:
    """Ids with scores, best first; `fallback` names where they come from when not from Qdrant, `age_s` how old they are."""

    scored: list[tuple[str, float]]
    fallback: str | None = None
    age_s: int = 0

    @property
    def by_keyword(self) -> bool:
        """Whether the scores are text ranks."""
        return self.fallback == "keyword"


class NoCandidates(Exception):  # noqa: N818 - a state of the world
    """No source has an answer."""


class Sources:
    """The sources, in their order."""

    def __init__(self, vectors: Vectors, cluster: Cluster, store: Store, settings: Settings) -> None:
        self._vectors = vectors
        self._cluster = cluster
        self._store = store
        self._settings = settings
        self._log = logging.getLogger("discovery")

    async def candidates(self, query: Query) -> Candidates:
        """The best source's candidates; raises NoCandidates or DatabaseDown."""
        if self._vectors.relapses():
            raise NoCandidates("a connection that broke when Qdrant was away was used again")
        try:
            return Candidates(await self._vectors.nearest(query.text))
        except VectorsDown as error:
            self._log.info("vector search failed", extra={"cause": str(error)})
        known = await self._last_known(query) if self._settings.discovery_stale_fallback else None
        if known:
            return known
        if self._settings.discovery_keyword_fallback:
            limit = self._settings.search_candidates
            return Candidates(await catalogue.matching(self._cluster, query.text, limit=limit), "keyword")
        raise NoCandidates("vector search is away")

    async def _last_known(self, query: Query) -> Candidates | None:
        try:
            value = await self._store.get(query.last_key)
        except StoreError:
            return None
        if value is None:
            return None
        known = orjson.loads(value)
        return Candidates(known["scored"], "stale-cache", max(0, int(time.time() - known["at"])))


def last_known(scored: list[tuple[str, float]], *, age_s: int) -> bytes:
    """The value to keep under a query's `last_key`, for candidates that are so old."""
    return orjson.dumps({"at": time.time() - age_s, "scored": scored})
