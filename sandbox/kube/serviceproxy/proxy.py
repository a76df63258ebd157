"""Opens and closes the listeners so that they are what the table of Services says."""

import asyncio
import logging
from collections.abc import Callable

from sandbox.kube.serviceproxy.relay import Address, Backend, ClientHalf
from sandbox.kube.serviceproxy.table import ServiceTable

log = logging.getLogger(__name__)

_BACKLOG = 1024
_RETRY_S = 0.5


class ServiceProxy:
    """Call `changed` whenever the table changed; `report` gets all listening addresses after each change of them.

    A Service without a ready endpoint has no listener, so that a client is refused. Connections that exist are left
    alone: they break with the process at their end.
    """

    def __init__(self, table: ServiceTable, report: Callable[[list[str]], None]) -> None:
        self._table = table
        self._report = report
        self._backends: dict[Address, Backend] = {}
        self._servers: dict[Address, asyncio.Server] = {}
        self._wake = asyncio.Event()

    def changed(self) -> None:
        self._wake.set()

    async def run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self._apply()

    async def _apply(self) -> None:
        routes = self._table.routes()
        for address, endpoints in routes.items():
            self._backends.setdefault(address, Backend()).endpoints = endpoints
        before = set(self._servers)
        for address in before - set(routes):
            self._servers.pop(address).close()
            self._backends.pop(address).endpoints = ()
        for address in set(routes) - before:
            await self._listen(address)
        if before != set(self._servers):
            self._report(sorted(f"{host}:{port}" for host, port in self._servers))

    async def _listen(self, address: Address) -> None:
        backend = self._backends[address]
        loop = asyncio.get_running_loop()
        try:
            server = await loop.create_server(lambda: ClientHalf(backend), *address, backlog=_BACKLOG)
        except OSError as error:
            log.warning("cannot listen on %s:%s: %s, again in %s s", *address, error, _RETRY_S)
            loop.call_later(_RETRY_S, self.changed)
            return
        self._servers[address] = server
