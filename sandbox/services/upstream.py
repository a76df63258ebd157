"""HTTP calls to a dependency over pooled connections; every try is counted."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp
from multidict import CIMultiDictProxy

from sandbox.services.metrics import Metrics
from sandbox.settings import Settings


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer, whatever its status."""

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes


class NoAnswer(Exception):  # noqa: N818 - the absence of an answer
    """A call ended without an HTTP answer: the connection broke."""


class Refused(NoAnswer):
    """No connection came about, so nothing was sent."""


class TimedOut(NoAnswer):
    """No answer came in time."""


class Upstream:
    """One dependency that speaks HTTP."""

    def __init__(self, name: str, base_url: str, settings: Settings, metrics: Metrics, *, connect_tries: int = 1) -> None:
        self.name = name
        self._connect_tries = connect_tries
        self._base_url = base_url.rstrip("/")
        self._settings = settings
        self._metrics = metrics
        self._calls = 0
        self._session: aiohttp.ClientSession | None = None

    async def call(
        self, method: str, path: str, *, timeout_s: float, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Answer:
        """One call; raises Refused, TimedOut or NoAnswer. Only a failed connect is tried again, `connect_tries` in all."""
        try:
            async with asyncio.timeout(timeout_s):
                for _ in range(self._connect_tries - 1):
                    try:
                        return await self._try(method, path, body, headers)
                    except Refused:
                        continue
                return await self._try(method, path, body, headers)
        except TimeoutError as error:
            raise TimedOut(f"{self.name}: no answer within {timeout_s:g} s") from error

    async def close(self) -> None:
        """Gives the connections back."""
        if self._session:
            await self._session.close()

    async def _try(self, method: str, path: str, body: bytes, headers: Mapping[str, str] | None) -> Answer:
        ok = False
        try:
            answer = await self._exchange(method, path, body, headers)
            ok = answer.status < 500
        except aiohttp.ClientConnectorError as error:
            raise Refused(f"{self.name}: {error}") from error
        except (aiohttp.ClientError, OSError) as error:
            if isinstance(error, TimeoutError):
                raise
            raise NoAnswer(f"{self.name}: {type(error).__name__}: {error}") from error
        finally:
            self._metrics.called(self.name, ok=ok)
        return answer

    async def _exchange(self, method: str, path: str, body: bytes, headers: Mapping[str, str] | None) -> Answer:
        url, sent = self._base_url + path, {**(headers or {}), **self._retirement()}
        async with self._client().request(method, url, data=body or None, headers=sent, allow_redirects=False) as response:
            return Answer(response.status, response.headers, await response.read())

    def _retirement(self) -> dict[str, str]:
        # A connection is balanced once, when it is made; without new ones a new replica would never be reached.
        self._calls += 1
        last = self._calls % max(1, self._settings.http_calls_per_connection) == 0
        return {"Connection": "close"} if last else {}

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=self._settings.http_idle_s, use_dns_cache=False),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),
                skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding"),
            )
            # aiohttp repeats an idempotent request once on a reset connection, unseen by the counts and by the breaker.
            self._session._retry_connection = False
        return self._session
