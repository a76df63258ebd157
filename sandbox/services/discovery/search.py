"""One search from query to answer: cache, candidates, availability, personal order, page."""

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import orjson

from sandbox.services.database import Cluster
from sandbox.services.discovery import catalogue
from sandbox.services.discovery.candidates import Candidates, Sources, last_known
from sandbox.services.discovery.kept import KeptPages
from sandbox.services.discovery.query import Query
from sandbox.services.guard import StoreError
from sandbox.services.metrics import Metrics
from sandbox.services.store import Store
from sandbox.services.upstream import NoAnswer, Upstream
from sandbox.settings import Settings

_WARNINGS = {
    "stale-cache": "vector search is away: an earlier answer is given",
    "keyword": "vector search is away: matched by keywords only",
    "unranked": "personalisation is away: not in personal order",
    "global-adapter": "the personal adapter is away: in general order",
}


@dataclass(slots=True)
class Found:
    """An answer's body and what its headers say; `degraded` names the fallbacks in it."""

    body: bytes
    hit: bool
    age_s: int | None = None
    degraded: list[str] = field(default_factory=list)


class Search:
    """The search of one discovery process."""

    def __init__(self, sources: Sources, cluster: Cluster, store: Store, sona: Upstream, settings: Settings, metrics: Metrics) -> None:
        self._sources = sources
        self._cluster = cluster
        self._store = store
        self._pages = KeptPages(store, settings)
        self._sona = sona
        self._settings = settings
        self._metrics = metrics

    async def answer(self, query: Query, user_id: str | None) -> Found:
        """The answer for a user, None for an anonymous one; raises NoCandidates or DatabaseDown."""
        kept = await self._kept(query)
        self._metrics.cached("search", hit=kept is not None)
        if kept and user_id:
            return await self._personal(kept, user_id)
        return kept or await self._fresh(query, user_id)

    async def _kept(self, query: Query) -> Found | None:
        page = await self._pages.get(query)
        return Found(page.body, hit=True, age_s=page.age_s, degraded=page.degraded) if page else None

    async def _personal(self, kept: Found, user_id: str) -> Found:
        """The kept page in the order of this user."""
        answer = orjson.loads(kept.body)
        results = {result["content"]["id"]: result for result in answer["results"]}
        scored = [(content_id, result["relevance_score"]) for content_id, result in results.items()]
        ordered, degraded = await self._ordered(scored, user_id)
        for mark in ("warnings", "partial_results"):
            answer.pop(mark, None)
        answer["results"] = [results[content_id] | {"relevance_score": score} for content_id, score in ordered]
        return self._found(answer, degraded, hit=True, age_s=kept.age_s)

    async def _fresh(self, query: Query, user_id: str | None) -> Found:
        start_s = time.perf_counter()
        candidates = await self._sources.candidates(query)
        ids = await catalogue.available(self._cluster, [content_id for content_id, _ in candidates.scored])
        watchable = [(content_id, score) for content_id, score in candidates.scored if content_id in ids]
        ordered, degraded = await self._ordered(watchable, user_id)
        first = (query.page - 1) * query.page_size
        page = ordered[first : first + query.page_size]
        items = await catalogue.details(self._cluster, [content_id for content_id, _ in page])
        similar = dict(candidates.scored)
        results = [_result(items[content_id], score, similar, candidates) for content_id, score in page if content_id in items]
        answer = {
            "results": results,
            "total_count": len(ordered),
            "page": query.page,
            "page_size": query.page_size,
            "query_parsed": query.parsed,
            "search_time_ms": round((time.perf_counter() - start_s) * 1000),
            "facets": _facets(items.values()),
        }
        marks = ([candidates.fallback] if candidates.fallback else []) + degraded
        found = self._found(answer, marks, hit=False, age_s=candidates.age_s if candidates.fallback == "stale-cache" else None)
        if not candidates.fallback:
            await self._keep(query, candidates, found, shared=user_id is None)
        return found

    async def _keep(self, query: Query, candidates: Candidates, found: Found, *, shared: bool) -> None:
        known = last_known(candidates.scored, age_s=self._settings.search_snapshot_age_s)
        rows = [(query.last_key, known, self._settings.search_last_s)]
        if shared:
            await self._pages.put(query, found.body, found.degraded, rows)
            return
        try:
            await self._store.put_all(rows)
        except StoreError:
            return

    async def _ordered(self, scored: list[tuple[str, float]], user_id: str | None) -> tuple[list[tuple[str, float]], list[str]]:
        """The items in the user's order, and the fallbacks that this took."""
        body = orjson.dumps({"user_id": user_id, "items": scored})
        try:
            answer = await self._sona.call(
                "POST",
                "/rerank",
                timeout_s=self._settings.sona_rerank_timeout_s,
                body=body,
                headers={"Content-Type": "application/json"},
            )
        except NoAnswer:
            return scored, ["unranked"]
        if answer.status != 200:
            return scored, ["unranked"]
        scores = orjson.loads(answer.body)["scores"]
        ranked = sorted(zip((content_id for content_id, _ in scored), scores, strict=True), key=lambda row: -row[1])
        mark = answer.headers.get("X-Degraded")
        return ranked, [mark] if mark else []

    def _found(self, answer: dict[str, Any], degraded: list[str], *, hit: bool, age_s: int | None) -> Found:
        for mark in degraded:
            self._metrics.fallbacks.add(mark)
        if degraded and self._settings.discovery_marks_degraded:
            answer["warnings"] = [_WARNINGS.get(mark, mark) for mark in degraded]
            answer["partial_results"] = True
            return Found(orjson.dumps(answer), hit, age_s, degraded)
        return Found(orjson.dumps(answer), hit, age_s)


def _result(item: dict[str, Any], relevance: float, scores: dict[str, float], candidates: Candidates) -> dict[str, Any]:
    score = round(scores[item["id"]], 5)
    return {
        "content": item,
        "relevance_score": relevance,
        "match_reasons": ["keyword"] if candidates.by_keyword else ["vector_similarity"],
        "vector_similarity": None if candidates.by_keyword else score,
        "graph_score": None,
        "keyword_score": score if candidates.by_keyword else None,
    }


def _facets(items: Iterable[dict[str, Any]]) -> dict[str, dict[str, int]]:
    rows = list(items)
    return {name: dict(Counter(value for item in rows for value in item[name])) for name in ("genres", "platforms")}
