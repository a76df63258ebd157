"""The sync service: watchlist and progress, kept in PostgreSQL and published to the user's devices."""

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.services.address import Address
from sandbox.services.breaker import State
from sandbox.services.database import DatabaseDown, Server
from sandbox.services.service import Service, error_response, json_body, json_response
from sandbox.services.sync.journal import Accepted, Journal
from sandbox.services.sync.operation import Operation, progress_change, watchlist_change
from sandbox.services.sync.publisher import Publisher
from sandbox.services.sync.pubnub import PubNub
from sandbox.settings import Settings

_FORGET_EVERY_S = 3600.0


class Sync(Service):
    """Lives on the primary; PubNub may be away, the outbox then waits."""

    name = "sync"

    def __init__(self, settings: Settings, address: Address) -> None:
        super().__init__(settings, address)
        dsn = address.need("postgres_primary_dsn")
        self._primary = Server("postgres-primary", dsn, settings.postgres_timeout_s, settings, self.metrics)
        keys = address.need("pubnub_publish_key"), address.need("pubnub_subscribe_key")
        self._pubnub = PubNub(address.need("pubnub_origin"), *keys, settings, self.metrics)
        self._journal = Journal(self._primary, address.pod_name)
        self._publisher = Publisher(self._primary, self._pubnub, settings)
        self.guards = {"pubnub": self._pubnub.guard}

    def routes(self) -> list[Route]:
        """The user's watchlist and positions."""
        return [
            Route("/api/v1/sync/watchlist", self._change_watchlist, methods=["POST"]),
            Route("/api/v1/sync/watchlist", self._watchlist, methods=["GET"]),
            Route("/api/v1/sync/progress", self._change_progress, methods=["POST"]),
        ]

    def is_ready(self) -> bool:
        """The primary answers."""
        return self._primary.alive

    async def start(self) -> None:
        """Meets the primary, and starts the publisher."""
        self.in_background(self._forget())
        self.in_background(self._publisher.run())

    async def stop(self) -> None:
        """Gives the connections back."""
        await asyncio.gather(self._primary.close(), self._pubnub.upstream.close())

    async def _forget(self) -> None:
        while True:
            try:
                await self._journal.forget(older_than_s=self.settings.sync_operation_memory_s)
            except DatabaseDown as error:
                self.log.warning("old operations were not dropped", extra={"cause": str(error)})
            await asyncio.sleep(_FORGET_EVERY_S)

    async def _watchlist(self, request: Request) -> Response:
        if not (user_id := request.headers.get("x-user-id")):
            return _no_user()
        try:
            rows = await self._journal.watchlist(user_id)
        except DatabaseDown as error:
            return self._away(error)
        return json_response({"items": [{"content_id": row["content_id"], "hlc": row["updated_hlc"]} for row in rows]})

    async def _change_watchlist(self, request: Request) -> Response:
        if not (user_id := request.headers.get("x-user-id")):
            return _no_user()
        try:
            operation = watchlist_change(await json_body(request), user_id)
            return self._accepted(operation, await self._journal.change_watchlist(operation))
        except ValueError as error:
            return error_response(400, "BAD_REQUEST", str(error))
        except DatabaseDown as error:
            return self._away(error)

    async def _change_progress(self, request: Request) -> Response:
        if not (user_id := request.headers.get("x-user-id")):
            return _no_user()
        try:
            operation, progress = progress_change(await json_body(request), user_id)
            return self._accepted(operation, await self._journal.change_progress(operation, progress))
        except ValueError as error:
            return error_response(400, "BAD_REQUEST", str(error))
        except DatabaseDown as error:
            return self._away(error)

    def _accepted(self, operation: Operation, accepted: Accepted) -> Response:
        """Published means handed to the publisher; queued that it waits until PubNub's breaker closes."""
        self._publisher.wake(operation.user_id)
        queued = self._pubnub.guard.breaker.state is not State.CLOSED
        answer: dict[str, Any] = {
            "accepted": True,
            "operation_id": operation.operation_id,
            "content_id": operation.content_id,
            "hlc": accepted.hlc,
            "delivery": "queued" if queued else "published",
        }
        if not queued:
            return json_response(answer)
        self.metrics.fallbacks.add("queued")
        answer["warnings"] = ["other devices get this change later"]
        return json_response(answer | {"partial_results": True}, headers={"X-Degraded": "queued"})

    def _away(self, error: DatabaseDown) -> Response:
        self.log.warning("the primary is away", extra={"cause": str(error)})
        return error_response(503, "SERVICE_UNAVAILABLE", "sync is away", retry_after_s=1)


def _no_user() -> Response:
    return error_response(401, "UNAUTHORIZED", "a token is required")
