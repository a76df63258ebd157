"""A relay in front of Toxiproxy's HTTP API; a policy decides what becomes of each call."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Self

import httpx
from aiohttp import web

FORWARD_WITHIN_S = 5.0


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the API. `parts` is its path, e.g. ("proxies", "qdrant", "toxics")."""

    method: str
    path: str
    body: bytes

    @property
    def parts(self) -> tuple[str, ...]:
        return tuple(part for part in self.path.split("/") if part)

    def document(self) -> dict[str, Any]:
        """The body as a JSON object; empty where it is none."""
        found = json.loads(self.body) if self.body else {}
        return found if isinstance(found, dict) else {}


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to a call."""

    status: int
    body: bytes = b""

    @classmethod
    def of(cls, document: Any, status: int = 200) -> Self:
        return cls(status, json.dumps(document).encode())

    def document(self) -> Any:
        return json.loads(self.body)


Forward = Callable[[Call], Awaitable[Reply]]
Policy = Callable[[Call, Forward], Awaitable[Reply]]


class ToxiproxyRelay:
    """Serves the API on loopback. An async context manager; `url` is its address."""

    def __init__(self, upstream_url: str, policy: Policy) -> None:
        self._policy = policy
        self._http = httpx.AsyncClient(base_url=upstream_url, timeout=FORWARD_WITHIN_S, trust_env=False)
        self._runner: web.ServerRunner | None = None
        self.url = ""

    async def __aenter__(self) -> Self:
        self._runner = web.ServerRunner(web.Server(self._serve, access_log=None), shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
        await self._http.aclose()

    async def _serve(self, request: web.BaseRequest) -> web.Response:
        call = Call(request.method, request.path, await request.read())
        try:
            reply = await self._policy(call, self._forward)
        except httpx.HTTPError as error:
            reply = Reply.of({"error": f"the relay cannot reach Toxiproxy: {type(error).__name__}"}, 502)
        return web.Response(status=reply.status, body=reply.body, content_type="application/json")

    async def _forward(self, call: Call) -> Reply:
        response = await self._http.request(call.method, call.path, content=call.body)
        return Reply(response.status_code, response.content)
