"""The discovery service: POST /api/v1/search and GET /api/v1/content/{id}."""

import asyncio
import time

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.services.address import Address
from sandbox.services.database import DatabaseDown, cluster
from sandbox.services.discovery import catalogue
from sandbox.services.discovery.candidates import NoCandidates, Sources
from sandbox.services.discovery.query import parse
from sandbox.services.discovery.search import Found, Search
from sandbox.services.discovery.vectors import Vectors
from sandbox.services.guard import StoreError
from sandbox.services.service import Service, error_response, json_body, json_response
from sandbox.services.upstream import Upstream
from sandbox.settings import Settings


class Discovery(Service):
    """Ready after its start-up time while some PostgreSQL server answers; everything else has a fallback."""

    name = "discovery"

    def __init__(self, settings: Settings, address: Address) -> None:
        super().__init__(settings, address)
        self._cluster = cluster(address.need("postgres_primary_dsn"), address.replica_dsns, settings, self.metrics)
        self._vectors = Vectors(address.need("qdrant_url"), settings, self.metrics)
        self._sona = Upstream("sona", address.need("sona_url"), settings, self.metrics)
        sources = Sources(self._vectors, self._cluster, self.store, settings)
        self._search = Search(sources, self._cluster, self.store, self._sona, settings, self.metrics)
        self.guards = {"qdrant": self._vectors.guard}

    def routes(self) -> list[Route]:
        """Search and content."""
        return [
            Route("/api/v1/search", self._post_search, methods=["POST"]),
            Route("/api/v1/content/{content_id}", self._get_content),
        ]

    def is_ready(self) -> bool:
        """Started up, and some database server answers."""
        return time.monotonic() - self.started_s >= self.settings.discovery_startup_s and self._cluster.answers

    async def start(self) -> None:
        """Meets the database servers."""
        self.in_background(self._cluster.warm_up())

    async def stop(self) -> None:
        """Gives the connections back."""
        await asyncio.gather(self._cluster.close(), self._vectors.upstream.close(), self._sona.close())

    async def _post_search(self, request: Request) -> Response:
        try:
            query = parse(await json_body(request), page_size=self.settings.search_page_size)
        except ValueError as error:
            return error_response(400, "BAD_REQUEST", str(error))
        try:
            found = await self._search.answer(query, request.headers.get("x-user-id"))
        except (NoCandidates, DatabaseDown) as error:
            self.log.warning("no source for a search", extra={"cause": str(error)})
            return error_response(503, "SERVICE_UNAVAILABLE", "search is away", retry_after_s=1)
        return json_response(found.body, headers=_headers(found))

    async def _get_content(self, request: Request) -> Response:
        content_id = request.path_params["content_id"]
        kept = await self._kept_content(content_id)
        self.metrics.cached("content", hit=kept is not None)
        if kept:
            written, _, body = kept.partition(b"\n")
            age_s = max(0, int(time.time() - float(written)))
            return json_response(body, headers={"X-Cache": "HIT", "Age": str(age_s)})
        try:
            fresh = await catalogue.detail_json(self._cluster, content_id)
        except DatabaseDown as error:
            self.log.warning("no source for content", extra={"cause": str(error)})
            return error_response(503, "SERVICE_UNAVAILABLE", "content is away", retry_after_s=1)
        if fresh is None:
            return error_response(404, "NOT_FOUND", f"no content {content_id}")
        await self._keep_content(content_id, fresh)
        return json_response(fresh, headers={"X-Cache": "MISS"})

    async def _kept_content(self, content_id: str) -> bytes | None:
        try:
            return await self.store.get(f"content:{content_id}")
        except StoreError:
            return None

    async def _keep_content(self, content_id: str, body: bytes) -> None:
        value = f"{time.time():.3f}\n".encode() + body
        try:
            await self.store.put(f"content:{content_id}", value, ttl_s=self.settings.content_cache_s)
        except StoreError:
            return


def _headers(found: Found) -> dict[str, str]:
    headers = {"X-Cache": "HIT" if found.hit else "MISS"}
    if found.age_s is not None:
        headers["Age"] = str(found.age_s)
    if found.degraded:
        headers["X-Degraded"] = ", ".join(found.degraded)
    return headers
