"""A relayed connection: a client side, an upstream side and a link each way."""

import asyncio
import socket
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import cast

from sandbox.dialling import dial
from sandbox.toxiproxy.clock import Clock
from sandbox.toxiproxy.link import Link, Outlet
from sandbox.toxiproxy.metrics import Traffic
from sandbox.toxiproxy.stages import Receiver
from sandbox.toxiproxy.toxic import Toxic

RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@dataclass(slots=True)
class Route:
    """What a started proxy gives each of its connections."""

    host: str
    port: int
    source: str
    toxics: Mapping[str, Sequence[Toxic]]
    traffic: Mapping[str, Traffic]
    clock: Clock
    rng: Random
    on_dialled: Callable[[OSError | None], None]
    connections: "set[Connection]" = field(default_factory=set)
    is_open: bool = True

    def close(self) -> None:
        """Take no more connections and abort those that there are."""
        self.is_open = False
        for connection in tuple(self.connections):
            connection.abort()
        self.connections.clear()


class EarlyBytes:
    """Keeps what the client sends before the upstream is there."""

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        self._ended = False

    def receive(self, data: bytes) -> None:
        self._chunks.append(data)

    def end(self) -> None:
        self._ended = True

    def replay(self, receiver: Receiver) -> None:
        for data in self._chunks:
            receiver.receive(data)
        if self._ended:
            receiver.end()


class Side(asyncio.Protocol):
    """One socket of a connection: what it sends goes into `inbound`, what it gets comes out of the link `outbound`."""

    def __init__(self, on_made: Callable[[], None], on_lost: Callable[[], None]) -> None:
        self.transport: asyncio.Transport
        self.inbound: Receiver = EarlyBytes()
        self.outbound: Link | None = None
        self.lost = False
        self._on_made = on_made
        self._on_lost = on_lost

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._on_made()

    def data_received(self, data: bytes) -> None:
        self.inbound.receive(data)

    def eof_received(self) -> bool:
        self.inbound.end()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        self.inbound.end()
        if self.outbound is not None:
            self.outbound.sink_lost()
        self._on_lost()

    def pause_writing(self) -> None:
        if self.outbound is not None:
            self.outbound.set_sink_full(True)

    def resume_writing(self) -> None:
        if self.outbound is not None:
            self.outbound.set_sink_full(False)


class Connection:
    """Dials the upstream as soon as a client is there, then relays both ways until both sides are gone."""

    def __init__(self, route: Route) -> None:
        self.client = Side(self._client_made, self._side_gone)
        self.links: dict[str, Link] = {}
        self._upstream = Side(self._upstream_made, self._side_gone)
        self._route = route
        self._sides_left = 2
        self._aborted = False
        self._dialling: asyncio.Task[None] | None = None

    def abort(self) -> None:
        """Close both sides now; what is under way is lost."""
        self._aborted = True
        if self._dialling is not None:
            self._dialling.cancel()
        self.client.transport.abort()
        if self.links:
            self._upstream.transport.abort()

    def add_toxic(self, toxic: Toxic) -> None:
        """Act on this connection too; one that is still dialling picks up the toxics when it is through."""
        if self.links:
            self.links[toxic.stream].add(toxic)

    def change_toxic(self, toxic: Toxic) -> None:
        if self.links:
            self.links[toxic.stream].change(toxic)

    def remove_toxic(self, toxic: Toxic) -> None:
        if self.links:
            self.links[toxic.stream].remove(toxic.name)

    def _client_made(self) -> None:
        # A client that was accepted just before the listener closed arrives here afterwards.
        if not self._route.is_open:
            self.client.transport.abort()
            return
        # uvloop may deliver one more read after this; EarlyBytes keeps it.
        self.client.transport.pause_reading()
        self._route.connections.add(self)
        self._dialling = asyncio.get_running_loop().create_task(self._dial())

    async def _dial(self) -> None:
        try:
            await dial(lambda: self._upstream, self._route.host, self._route.port, self._route.source)
        except OSError as error:
            self._route.on_dialled(error)
            self.client.transport.close()
            self._side_gone()

    def _upstream_made(self) -> None:
        if self._aborted:
            self._upstream.transport.abort()
            return
        self._route.on_dialled(None)
        self.links = {
            "upstream": self._link("upstream", self.client, self._upstream),
            "downstream": self._link("downstream", self._upstream, self.client),
        }
        if any(link.resets_on_close for link in self.links.values()):
            self._reset_on_close()
        self._join()

    def _link(self, stream: str, source: Side, sink: Side) -> Link:
        route, traffic = self._route, self._route.traffic[stream]
        outlet = Outlet(sink.transport, traffic)
        return Link(source.transport, outlet, traffic, route.toxics[stream], route.clock, route.rng)

    def _join(self) -> None:
        early, client, upstream = self.client.inbound, self.client, self._upstream
        client.inbound = upstream.outbound = self.links["upstream"]
        upstream.inbound = client.outbound = self.links["downstream"]
        if client.lost:
            client.outbound.sink_lost()
        else:
            client.transport.resume_reading()
        if isinstance(early, EarlyBytes):
            early.replay(client.inbound)

    def _reset_on_close(self) -> None:
        for side in (self.client, self._upstream):
            sock = side.transport.get_extra_info("socket")
            if sock is not None and not side.lost:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)

    def _side_gone(self) -> None:
        self._sides_left -= 1
        if self._sides_left == 0:
            self._route.connections.discard(self)
