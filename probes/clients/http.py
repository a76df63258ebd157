"""Plain HTTP for small reads and the test devices. Never for the load: httpx is too dear there."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from probes.clients.unreachable import Unreachable, words

TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """An answer whatever its status; header names are case-insensitive."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Raises Unreachable for a body that is not JSON."""
        try:
            return httpx.Response(self.status, content=self.body).json()
        except ValueError as error:
            raise Unreachable("an answer", f"not JSON: {self.body[:80]!r}") from error


class HttpClient:
    """One server. Every call raises Unreachable when no complete answer came within `timeout_s`."""

    def __init__(self, base_url: str, *, timeout_s: float = TIMEOUT_S) -> None:
        self._base_url = base_url.rstrip("/")
        self._timeout_s = timeout_s
        # Measured paths must not pass a proxy of the environment.
        self._client = httpx.AsyncClient(trust_env=False, timeout=timeout_s)

    async def close(self) -> None:
        await self._client.aclose()

    async def request(
        self, method: str, path: str, *, json: Any = None, headers: Mapping[str, str] | None = None, timeout_s: float | None = None
    ) -> HttpAnswer:
        limit_s = self._timeout_s if timeout_s is None else timeout_s
        try:
            async with asyncio.timeout(limit_s):
                response = await self._client.request(method, self._base_url + path, json=json, headers=headers, timeout=limit_s)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            raise Unreachable(f"{method} {self._base_url}{path.partition('?')[0]}", words(error)) from error
        return HttpAnswer(status=response.status_code, headers=response.headers, body=response.content)
