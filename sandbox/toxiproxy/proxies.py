"""The collection of proxies behind the API."""

import asyncio
from collections.abc import Mapping
from random import Random
from typing import Any

from sandbox.toxiproxy import address
from sandbox.toxiproxy import body as fields
from sandbox.toxiproxy.errors import ApiError, bad_body, missing_field, proxy_exists, proxy_not_found
from sandbox.toxiproxy.metrics import TrafficBook
from sandbox.toxiproxy.proxy import Common, Proxy


class Proxies:
    """Proxies by name; changes that have to wait for the network run one after the other."""

    def __init__(self, source: str = "") -> None:
        """`source` is the address from which upstreams are dialled; empty: as the kernel likes."""
        self.book = TrafficBook()
        self._proxies: dict[str, Proxy] = {}
        self._common = Common(self.book, Random(), source)
        self._changing = asyncio.Lock()

    def all(self) -> list[Proxy]:
        return list(self._proxies.values())

    def get(self, name: str) -> Proxy:
        """Raises ApiError 404."""
        proxy = self._proxies.get(name)
        if proxy is None:
            raise proxy_not_found()
        return proxy

    async def create(self, body: Mapping[str, Any]) -> Proxy:
        """Add a proxy and start it unless `enabled` is false. Raises ApiError 400, 409, 500."""
        proxy, enabled = self._read(body, "")
        async with self._changing:
            if proxy.name in self._proxies:
                raise proxy_exists()
            if enabled:
                await proxy.start()
            self._proxies[proxy.name] = proxy
        return proxy

    async def change(self, name: str, body: Mapping[str, Any]) -> Proxy:
        """Change addresses or `enabled`; what the body does not name stays. Raises ApiError 400, 404, 500."""
        async with self._changing:
            proxy = self.get(name)
            await proxy.change(
                listen=fields.text(body, "listen", proxy.listen),
                upstream=fields.text(body, "upstream", proxy.upstream),
                enabled=fields.flag(body, "enabled", proxy.enabled),
            )
        return proxy

    async def remove(self, name: str) -> None:
        """Raises ApiError 404."""
        async with self._changing:
            self.get(name).stop()
            del self._proxies[name]

    async def populate(self, body: object) -> tuple[list[Proxy], ApiError | None]:
        """Apply a list of proxies in order: equal ones stay as they are, with their toxics, others are replaced.

        The answer holds the proxies that were applied and the error that ended it, if any.
        """
        applied: list[Proxy] = []
        try:
            wanted = self._read_list(body)
            async with self._changing:
                for proxy, enabled in wanted:
                    applied.append(await self._put(proxy, enabled))
        except ApiError as error:
            return applied, error
        return applied, None

    async def reset(self) -> None:
        """Start every proxy and remove every toxic. Raises ApiError 500."""
        async with self._changing:
            for proxy in self.all():
                await proxy.start()
                for toxic in proxy.toxics():
                    proxy.remove_toxic(toxic.name)

    def stop(self) -> None:
        for proxy in self.all():
            proxy.stop()

    async def _put(self, proxy: Proxy, enabled: bool) -> Proxy:
        existing = self._proxies.get(proxy.name)
        if existing is not None:
            if not await existing.differs(proxy.listen, proxy.upstream):
                return existing
            existing.stop()
        if enabled:
            await proxy.start()
        self._proxies[proxy.name] = proxy
        return proxy

    def _read_list(self, body: object) -> list[tuple[Proxy, bool]]:
        if not isinstance(body, list):
            raise bad_body("body must be a list of proxies")
        wanted = [
            self._read(fields.as_object(entry, f"proxy {number}"), f" at proxy {number}") for number, entry in enumerate(body, start=1)
        ]
        names = [proxy.name for proxy, _ in wanted]
        if len(set(names)) < len(names):
            raise bad_body("two proxies have the same name")
        return wanted

    def _read(self, body: Mapping[str, Any], where: str) -> tuple[Proxy, bool]:
        name, listen, upstream = (fields.text(body, key, "") for key in ("name", "listen", "upstream"))
        enabled = fields.flag(body, "enabled", True)
        if not name:
            raise missing_field(f"name{where}")
        if not upstream:
            raise missing_field(f"upstream{where}")
        if enabled:
            address.split(upstream)
        return Proxy(name, listen, upstream, self._common), enabled
