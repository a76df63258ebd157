"""Auth: login, token rotation, sessions."""

import hashlib
import hmac
import uuid
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.services.address import Address
from sandbox.services.database import DatabaseDown, cluster
from sandbox.services.guard import StoreError
from sandbox.services.limits import Limiter, Window
from sandbox.services.service import Service, error_response, json_body, json_response
from sandbox.services.sessions import Sessions, describe
from sandbox.services.tokens import BadToken, Identity, Refresh, Tokens, bearer
from sandbox.settings import Settings

_USER = "SELECT id, tier, password_hash FROM users WHERE id = $1 OR email = $1"
_MINUTE_S = 60


class Auth(Service):
    """Lives on PostgreSQL; Redis holds copies and counters only."""

    name = "auth"

    def __init__(self, settings: Settings, address: Address) -> None:
        super().__init__(settings, address)
        self._cluster = cluster(address.need("postgres_primary_dsn"), address.replica_dsns, settings, self.metrics)
        self._sessions = Sessions(self._cluster, self.store, settings, self.metrics)
        self._tokens = Tokens(address.need("jwt_secret"))
        self._limiter = Limiter(self.store, limit_s=settings.gateway_redis_limit_s, fails_open=settings.rate_limit_fails_open)

    def routes(self) -> list[Route]:
        """Login, refresh, session, logout."""
        return [
            Route("/api/v1/auth/login", self._login, methods=["POST"]),
            Route("/api/v1/auth/refresh", self._refresh, methods=["POST"]),
            Route("/api/v1/auth/session", self._session),
            Route("/api/v1/auth/logout", self._logout, methods=["POST"]),
        ]

    def is_ready(self) -> bool:
        """Some database server answers."""
        return self._cluster.answers

    async def start(self) -> None:
        """Meets the database servers."""
        self.in_background(self._cluster.warm_up())

    async def stop(self) -> None:
        """Gives the connections back."""
        await self._cluster.close()

    async def _login(self, request: Request) -> Response:
        if limited := await self._limited(request, "login", self.settings.login_per_min):
            return limited
        try:
            body = await json_body(request)
            user_id, password = str(body["user_id"]), str(body["password"])
        except (ValueError, KeyError) as error:
            return error_response(400, "BAD_REQUEST", f"user_id and password are needed: {error}")
        try:
            rows = await self._cluster.fetch(_USER, user_id)
            if not rows or not _matches(password, salt=rows[0]["id"], expected=rows[0]["password_hash"]):
                return error_response(401, "UNAUTHORIZED", "unknown user or wrong password")
            identity = Identity(rows[0]["id"], rows[0]["tier"], uuid.uuid4().hex)
            await self._sessions.create(identity.session_id, identity.user_id)
        except DatabaseDown as error:
            return self._away(error)
        return await self._issue(identity)

    async def _refresh(self, request: Request) -> Response:
        if limited := await self._limited(request, "token", self.settings.token_per_min):
            return limited
        try:
            claims = self._tokens.refresh(str((await json_body(request)).get("refresh_token", "")))
        except ValueError as error:
            return error_response(400, "BAD_REQUEST", str(error))
        except BadToken as error:
            return error_response(401, "UNAUTHORIZED", str(error))
        try:
            if await self._was_used(claims):
                await self._sessions.revoke(claims.session_id)
                return error_response(401, "UNAUTHORIZED", "the refresh token was used before; the session is over")
            if await self._sessions.find(claims.session_id) is None:
                return error_response(401, "UNAUTHORIZED", "the session is over")
        except DatabaseDown as error:
            return self._away(error)
        return await self._issue(Identity(claims.user_id, claims.tier, claims.session_id))

    async def _session(self, request: Request) -> Response:
        identity = self._identity(request)
        if identity is None:
            return error_response(401, "UNAUTHORIZED", "a token is required")
        try:
            session = await self._sessions.find(identity.session_id)
        except DatabaseDown as error:
            return self._away(error)
        if session is None:
            return error_response(401, "UNAUTHORIZED", "the session is over")
        return json_response(describe(session) | {"tier": identity.tier})

    async def _logout(self, request: Request) -> Response:
        identity = self._identity(request)
        if identity is None:
            return error_response(401, "UNAUTHORIZED", "a token is required")
        try:
            await self._sessions.revoke(identity.session_id)
        except DatabaseDown as error:
            return self._away(error)
        return json_response({"logged_out": True})

    def _identity(self, request: Request) -> Identity | None:
        try:
            return self._tokens.identity(bearer(request.headers.get("authorization")) or "")
        except BadToken:
            return None

    async def _issue(self, identity: Identity) -> Response:
        access, _ = self._tokens.issue("access", identity, lives_s=self.settings.access_token_s)
        refresh, jti = self._tokens.issue("refresh", identity, lives_s=self.settings.session_s)
        try:
            await self.store.put(_family(identity.session_id), jti.encode(), ttl_s=self.settings.session_s)
        except StoreError:
            self.log.info("the token family was not kept")
        answer: dict[str, Any] = {
            "access_token": access,
            "token_type": "Bearer",
            "expires_in": self.settings.access_token_s,
            "session_id": identity.session_id,
            "refresh_token": refresh,
        }
        return json_response(answer)

    async def _was_used(self, claims: Refresh) -> bool:
        """Whether a later token of the family is out; unknown after a loss of Redis, then the token is good."""
        try:
            current = await self.store.get(_family(claims.session_id))
        except StoreError:
            return False
        return current is not None and current.decode() != claims.jti

    async def _limited(self, request: Request, action: str, per_minute: int) -> Response | None:
        peer = request.headers.get("x-forwarded-for", "").partition(",")[0].strip()
        subject = request.headers.get("x-client-id") or peer or (request.client.host if request.client else "unknown")
        decision = await self._limiter.count(f"{action}:{subject}", (Window(per_minute, _MINUTE_S),))
        if decision is None or decision.allowed:
            return None
        return error_response(429, "RATE_LIMITED", f"too many {action} requests", retry_after_s=decision.reset_s)

    def _away(self, error: DatabaseDown) -> Response:
        self.log.warning("no database answers", extra={"cause": str(error)})
        return error_response(503, "SERVICE_UNAVAILABLE", "auth is away", retry_after_s=1)


def _family(session_id: str) -> str:
    return f"token_family:{session_id}:current"


def _matches(password: str, *, salt: str, expected: str) -> bool:
    # The cheapest parameters on purpose: many users log in at once in a sandbox that protects nothing.
    found = hashlib.scrypt(password.encode(), salt=salt.encode(), n=2, r=1, p=1).hex()
    return hmac.compare_digest(found, expected)
