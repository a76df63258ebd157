"""Toxiproxy's HTTP API: toxics and the switch of one proxy.

Our own client, because toxiproxy-python has no time-outs and takes a 5xx for success (ADR 0003). It never calls /reset,
which would take away what others put there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_fixed

from orchestrator.errors import TargetError
from probes.clients.prometheus import samples

RECEIVED = "toxiproxy_proxy_received_bytes_total"
TIMEOUT_S = 2.0
TRIES = 3


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy as the server shows it. `toxics` are names."""

    name: str
    listen: str
    upstream: str
    enabled: bool
    toxics: tuple[str, ...]


class Toxiproxy:
    """One Toxiproxy server. Every call raises TargetError within its time-out; idempotent calls are tried three times."""

    def __init__(self, url: str, *, timeout_s: float = TIMEOUT_S) -> None:
        self.url = url
        self._http = httpx.AsyncClient(base_url=url, timeout=timeout_s, trust_env=False)

    async def close(self) -> None:
        await self._http.aclose()

    async def proxy(self, name: str) -> Proxy:
        return _proxy(await self._call("GET", f"/proxies/{name}", tries=TRIES))

    async def add_toxic(self, proxy: str, toxic: str, *, kind: str, stream: str, attributes: dict[str, int]) -> None:
        """Put a toxic in place and read it back. One of this name that is there already is replaced."""
        await self.remove_toxic(proxy, toxic)
        body = {"name": toxic, "type": kind, "stream": stream, "toxicity": 1.0, "attributes": attributes}
        await self._call("POST", f"/proxies/{proxy}/toxics", body)
        shown = await self._call("GET", f"/proxies/{proxy}/toxics/{toxic}", tries=TRIES)
        if shown.get("attributes", {}) | attributes != shown.get("attributes"):
            raise TargetError(f"{self.url}: toxic {toxic} was read back as {shown.get('attributes')}, asked for {attributes}")

    async def remove_toxic(self, proxy: str, toxic: str) -> None:
        """Take a toxic away; one that is not there is fine."""
        await self._call("DELETE", f"/proxies/{proxy}/toxics/{toxic}", tries=TRIES, fine=(404,))

    async def set_enabled(self, proxy: str, *, enabled: bool) -> None:
        shown = await self._call("POST", f"/proxies/{proxy}", {"enabled": enabled}, tries=TRIES)
        if shown.get("enabled") is not enabled:
            raise TargetError(f"{self.url}: proxy {proxy} was read back as enabled={shown.get('enabled')}")

    async def create(self, proxy: Proxy) -> None:
        """Make a proxy, enabled and without toxics. Raises TargetError where there is one of this name."""
        body = {"name": proxy.name, "listen": proxy.listen, "upstream": proxy.upstream, "enabled": True}
        await self._call("POST", "/proxies", body)

    async def exists(self, name: str) -> bool:
        return (await self._call("GET", f"/proxies/{name}", tries=TRIES, fine=(404,))).get("name") == name

    async def delete(self, name: str) -> None:
        """Take a proxy away with its connections; one that is not there is fine."""
        await self._call("DELETE", f"/proxies/{name}", tries=TRIES, fine=(404,))

    async def received_bytes(self, name: str) -> int:
        """Bytes that clients of the proxy have sent since the server started. Raises TargetError where it does not count.

        The real server adds a connection's bytes when the connection ends.
        """
        response = await self._answer("GET", "/metrics", tries=TRIES)
        if not response.is_success:
            raise TargetError(f"Toxiproxy {self.url} has no metrics ({response.status_code}): start it with -proxy-metrics")
        try:
            found = samples(response.text, RECEIVED, {"proxy": name, "direction": "upstream"})
            return int(sum(sample.value for sample in found))
        except ValueError as error:
            raise TargetError(f"Toxiproxy {self.url}: {error}") from error

    async def recreate(self, proxy: Proxy) -> None:
        """The hard way to clean a proxy: delete it and make it anew, without toxics and enabled."""
        await self.delete(proxy.name)
        body = {"name": proxy.name, "listen": proxy.listen, "upstream": proxy.upstream, "enabled": True}
        # Without it the link is down, so this is tried again; 409 is the answer to a try that came through unheard.
        await self._call("POST", "/proxies", body, tries=TRIES, fine=(409,))

    async def _call(self, method: str, path: str, body: object = None, *, tries: int = 1, fine: tuple[int, ...] = ()) -> dict[str, Any]:
        response = await self._answer(method, path, body, tries=tries)
        if not response.is_success and response.status_code not in fine:
            raise TargetError(f"Toxiproxy {self.url}: {method} {path} answered {response.status_code} {response.text[:200]}")
        return _document(response)

    async def _answer(self, method: str, path: str, body: object = None, *, tries: int) -> httpx.Response:
        try:
            async for attempt in AsyncRetrying(
                stop=stop_after_attempt(tries), wait=wait_fixed(0.1), retry=retry_if_exception_type(httpx.TransportError), reraise=True
            ):
                with attempt:
                    response = await self._http.request(method, path, json=body)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise TargetError(f"Toxiproxy {self.url}: {method} {path}: {type(error).__name__} {error}".rstrip()) from error
        return response


def _document(response: httpx.Response) -> dict[str, Any]:
    try:
        document = response.json() if response.content else {}
    except ValueError as error:
        raise TargetError(f"Toxiproxy answered {response.text[:100]!r}, which is not JSON") from error
    return document if isinstance(document, dict) else {}


def _proxy(document: dict[str, Any]) -> Proxy:
    try:
        toxics = tuple(str(toxic["name"]) for toxic in document.get("toxics") or ())
        return Proxy(str(document["name"]), str(document["listen"]), str(document["upstream"]), bool(document["enabled"]), toxics)
    except (KeyError, TypeError) as error:
        raise TargetError(f"Toxiproxy answered {str(document)[:100]}, which is not a proxy") from error
