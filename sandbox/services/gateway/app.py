"""The API gateway's request path: token, rate limit, response cache, service."""

import asyncio
import time
from typing import Any

from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import Route

from sandbox.services.address import Address
from sandbox.services.gateway.backends import Backend, Request, backends
from sandbox.services.gateway.cache import Kept, ResponseCache, etag
from sandbox.services.guard import StoreError
from sandbox.services.limits import Decision, Limiter, Window
from sandbox.services.service import Service, error_response, json_response
from sandbox.services.tokens import BadToken, Identity, Tokens, bearer
from sandbox.services.upstream import NoAnswer
from sandbox.settings import Settings

_ROUTES = {
    "/api/v1/search": "discovery",
    "/api/v1/content": "discovery",
    "/api/v1/sona": "sona",
    "/api/v1/sync": "sync",
    "/api/v1/auth": "auth",
}
_TOKEN_NEEDED = ("/api/v1/sync", "/api/v1/auth/session", "/api/v1/auth/logout")
# What a client may say to a service. Who it is comes from its token alone.
_PASSED_HEADERS = ("content-type", "x-client-id", "authorization")
_AGGREGATE_S = 5.0
_HEALTH_TIMEOUT_S = 1.0


class Gateway(Service):
    """Routes the platform's API; its readiness does not depend on the services, which have breakers."""

    name = "gateway"

    def __init__(self, settings: Settings, address: Address) -> None:
        super().__init__(settings, address)
        self._tokens = Tokens(address.need("jwt_secret"))
        self._backends = backends(address, settings, self.metrics)
        self.guards = {name: backend.guard for name, backend in self._backends.items()}
        self._limiter = Limiter(self.store, limit_s=settings.gateway_redis_limit_s, fails_open=settings.rate_limit_fails_open)
        self._windows = {
            tier: (
                Window(getattr(settings, f"rate_{tier}_per_s"), 1),
                Window(getattr(settings, f"rate_{tier}_per_min"), 60),
            )
            for tier in ("anonymous", "free", "pro", "enterprise")
        }
        self._cache = ResponseCache(self.store, settings)
        self._aggregate: tuple[float, dict[str, Any]] | None = None

    def routes(self) -> list[Route]:
        """Everything below /api goes to a service."""
        return [
            Route("/health/aggregate", self._health_aggregate),
            Route("/api/{path:path}", self._handle, methods=["GET", "POST", "DELETE", "PATCH"]),
        ]

    def health(self) -> dict[str, Any]:
        """Breaker states, as the platform's clients know them."""
        return {"checks": {name: backend.describe() for name, backend in self._backends.items()}}

    def readiness(self) -> dict[str, str]:
        """The services as their breakers see them."""
        return {name: str(backend.describe()["status"]) for name, backend in self._backends.items()}

    async def stop(self) -> None:
        """Gives the connections back."""
        await asyncio.gather(*(backend.upstream.close() for backend in self._backends.values()))

    async def _handle(self, http: HttpRequest) -> Response:
        path = http.scope["path"]
        backend = self._backend(path)
        if backend is None:
            return error_response(404, "NOT_FOUND", f"no route for {path}")
        try:
            identity = self._identity(http)
        except BadToken as error:
            return error_response(401, "UNAUTHORIZED", str(error))
        if identity is None and path.startswith(_TOKEN_NEEDED):
            return error_response(401, "UNAUTHORIZED", "a token is required")
        if identity and await self._is_over(identity):
            return error_response(401, "UNAUTHORIZED", "the session is over")
        if self.loss.is_recent(self.settings.gateway_loss_pause_s):
            return error_response(503, "SERVICE_UNAVAILABLE", "the limits are being counted anew", retry_after_s=1)
        decision = await self._count(http, identity)
        if decision and not decision.allowed:
            response = error_response(429, "RATE_LIMITED", "too many requests", retry_after_s=decision.reset_s)
        else:
            response = await self._answer(http, backend, identity)
        if decision:
            response.headers.update(decision.headers)
        return response

    def _backend(self, path: str) -> Backend | None:
        for prefix, name in _ROUTES.items():
            if path == prefix or path.startswith(prefix + "/"):
                return self._backends[name]
        return None

    def _identity(self, http: HttpRequest) -> Identity | None:
        token = bearer(http.headers.get("authorization"))
        return self._tokens.identity(token) if token else None

    async def _is_over(self, identity: Identity) -> bool:
        """Whether Redis, where it is asked at all, does not know the session; a Redis that is away says nothing."""
        if not self.settings.gateway_sessions_in_redis:
            return False
        try:
            return await self.store.get(f"session:{identity.session_id}", limit_s=self.settings.gateway_redis_limit_s) is None
        except StoreError:
            return False

    async def _count(self, http: HttpRequest, identity: Identity | None) -> Decision | None:
        if identity:
            tier = identity.tier if identity.tier in self._windows else "free"
            return await self._limiter.count(identity.user_id, self._windows[tier])
        return await self._limiter.count(f"anonymous:{_client_address(http)}", self._windows["anonymous"])

    async def _answer(self, http: HttpRequest, backend: Backend, identity: Identity | None) -> Response:
        cacheable = self.settings.gateway_response_cache and identity is None and http.method == "GET"
        request = await self._request(http, identity)
        if not cacheable:
            return await backend.forward(request)
        kept = await self._cache.get(request.target)
        self.metrics.cached("response", hit=kept is not None)
        if kept:
            return _from_cache(http, kept)
        response = await backend.forward(request)
        body = bytes(response.body)
        if response.status_code == 200 and "x-degraded" not in response.headers:
            await self._cache.put(request.target, body, age_s=int(response.headers.get("Age", "0")))
            response.headers["ETag"] = etag(body)
            response.headers.setdefault("X-Cache", "MISS")
        return response

    async def _request(self, http: HttpRequest, identity: Identity | None) -> Request:
        headers = {name: value for name in _PASSED_HEADERS if (value := http.headers.get(name)) is not None}
        headers["x-forwarded-for"] = _client_address(http)
        if identity:
            headers |= {"x-user-id": identity.user_id, "x-user-tier": identity.tier}
        query = http.scope["query_string"].decode()
        return Request(http.method, http.scope["path"] + (f"?{query}" if query else ""), headers, await http.body())

    async def _health_aggregate(self, _: HttpRequest) -> Response:
        now_s = time.monotonic()
        if self._aggregate is None or now_s - self._aggregate[0] > _AGGREGATE_S:
            self._aggregate = (now_s, await self._look_at_services())
        return json_response(self._aggregate[1])

    async def _look_at_services(self) -> dict[str, Any]:
        start_s = time.perf_counter()
        services = await asyncio.gather(*(self._look(name, backend) for name, backend in self._backends.items()))
        healthy = sum(service["status"] == "healthy" for service in services)
        return {
            "status": "healthy" if healthy == len(services) else "degraded" if healthy else "unhealthy",
            "timestamp": time.time(),
            "services": services,
            "dependencies": [{"name": "redis", "status": "healthy" if self.store.guard.breaker.would_admit() else "unhealthy"}],
            "overall_latency_ms": round((time.perf_counter() - start_s) * 1000, 1),
        }

    async def _look(self, name: str, backend: Backend) -> dict[str, Any]:
        start_s, error = time.perf_counter(), None
        try:
            await backend.upstream.call("GET", "/health", timeout_s=_HEALTH_TIMEOUT_S)
        except NoAnswer as failure:
            error = str(failure)
        latency_ms = round((time.perf_counter() - start_s) * 1000, 1)
        seen = {"name": name, "status": "unhealthy" if error else "healthy", "latency_ms": latency_ms, "last_checked": time.time()}
        return seen | ({"error": error} if error else {})


def _client_address(http: HttpRequest) -> str:
    forwarded = http.headers.get("x-forwarded-for", "").partition(",")[0].strip()
    return forwarded or (http.client.host if http.client else "unknown")


def _from_cache(http: HttpRequest, kept: Kept) -> Response:
    tag = etag(kept.body)
    headers = {"X-Cache": "HIT", "Age": str(kept.age_s), "ETag": tag}
    if http.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return json_response(kept.body, headers=headers)
