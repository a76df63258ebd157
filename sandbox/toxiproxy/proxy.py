"""A proxy: a listener, the connections it accepted and the toxics that act on them."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from sandbox.toxiproxy import address
from sandbox.toxiproxy.clock import LoopClock
from sandbox.toxiproxy.connection import Connection, Route
from sandbox.toxiproxy.errors import toxic_exists, toxic_not_found
from sandbox.toxiproxy.log import log
from sandbox.toxiproxy.metrics import Labels, TrafficBook
from sandbox.toxiproxy.toxic import STREAMS, Toxic, new_toxic


@dataclass(frozen=True, slots=True)
class Common:
    """What all proxies of a server share."""

    book: TrafficBook
    rng: Random
    source: str


class Proxy:
    """Relays what it accepts on `listen` to `upstream` while it is enabled; toxics outlive a stop."""

    def __init__(self, name: str, listen: str, upstream: str, common: Common) -> None:
        self.name = name
        self.listen = listen
        self.upstream = upstream
        self._common = common
        self._chains: dict[str, list[Toxic]] = {stream: [] for stream in STREAMS}
        self._server: asyncio.Server | None = None
        self._route: Route | None = None
        self._upstream_answers = True

    @property
    def enabled(self) -> bool:
        return self._server is not None

    async def start(self) -> None:
        """Listen; nothing to do when it listens already. Raises ApiError 400 (address) or 500 (bind)."""
        if self._server is not None:
            return
        upstream_host, upstream_port = address.split(self.upstream)
        host, port = await address.resolve(self.listen)
        listener = address.listen(host, port)
        self.listen = address.join(host, listener.getsockname()[1])
        self._route = self._new_route(upstream_host, upstream_port)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._accept, sock=listener, backlog=address.BACKLOG)
        log("INFO", "proxy started", proxy=self.name, listen=self.listen, upstream=self.upstream)

    def stop(self) -> None:
        """Close the listener and every connection; further clients are refused."""
        if self._server is None or self._route is None:
            return
        self._server.close()
        self._route.close()
        self._server = self._route = None
        log("INFO", "proxy stopped", proxy=self.name, listen=self.listen, upstream=self.upstream)

    async def change(self, listen: str, upstream: str, enabled: bool) -> None:
        """Bring the proxy to these settings; another address restarts it. Raises ApiError as start does."""
        if enabled:
            address.split(upstream)
        if await self.differs(listen, upstream):
            self.stop()
            self.listen, self.upstream = listen, upstream
        if enabled:
            await self.start()
        else:
            self.stop()

    async def differs(self, listen: str, upstream: str) -> bool:
        """Whether these addresses are not those of this proxy; "localhost" and its address are the same."""
        return upstream != self.upstream or address.join(*await address.resolve(listen)) != self.listen

    def toxics(self) -> list[Toxic]:
        return [toxic for chain in self._chains.values() for toxic in chain]

    def toxic(self, name: str) -> Toxic:
        """Raises ApiError 404."""
        for toxic in self.toxics():
            if toxic.name == name:
                return toxic
        raise toxic_not_found()

    def add_toxic(self, body: Mapping[str, Any]) -> Toxic:
        """Put a toxic at the end of its stream's chain, on open connections too. Raises ApiError 400, 409."""
        toxic = new_toxic(body)
        if any(toxic.name == other.name for other in self.toxics()):
            raise toxic_exists()
        self._chains[toxic.stream].append(toxic)
        for connection in self._connections():
            connection.add_toxic(toxic)
        log("INFO", "toxic added", proxy=self.name, toxic=toxic.as_json())
        return toxic

    def change_toxic(self, name: str, body: Mapping[str, Any]) -> Toxic:
        """Merge attributes into a toxic, on open connections too. Raises ApiError 400, 404."""
        toxic = self.toxic(name)
        toxic.change(body)
        for connection in self._connections():
            connection.change_toxic(toxic)
        log("INFO", "toxic changed", proxy=self.name, toxic=toxic.as_json())
        return toxic

    def remove_toxic(self, name: str) -> None:
        """Take a toxic away, from open connections too. Raises ApiError 404."""
        toxic = self.toxic(name)
        self._chains[toxic.stream].remove(toxic)
        for connection in self._connections():
            connection.remove_toxic(toxic)
        log("INFO", "toxic removed", proxy=self.name, toxic=toxic.as_json())

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "listen": self.listen,
            "upstream": self.upstream,
            "enabled": self.enabled,
            "toxics": [toxic.as_json() for toxic in self.toxics()],
        }

    def _accept(self) -> asyncio.Protocol:
        if self._route is None:
            raise RuntimeError(f"proxy {self.name} accepted a client without being started")
        return Connection(self._route).client

    def _connections(self) -> tuple[Connection, ...]:
        return tuple(self._route.connections) if self._route is not None else ()

    def _new_route(self, upstream_host: str, upstream_port: int) -> Route:
        labels = {stream: Labels(stream, self.name, self.listen, self.upstream) for stream in STREAMS}
        return Route(
            host=upstream_host,
            port=upstream_port,
            source=self._common.source,
            toxics=self._chains,
            traffic={stream: self._common.book.traffic(label) for stream, label in labels.items()},
            clock=LoopClock(asyncio.get_running_loop()),
            rng=self._common.rng,
            on_dialled=self._dialled,
        )

    def _dialled(self, error: OSError | None) -> None:
        """Log the first failure after a success and the first success after a failure, not each of hundreds."""
        if self._upstream_answers == (error is None):
            return
        self._upstream_answers = error is None
        level, message = ("INFO", "upstream answers again") if error is None else ("WARN", "upstream cannot be dialled")
        log(level, message, proxy=self.name, upstream=self.upstream, error=str(error) if error else None)
