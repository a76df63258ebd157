"""An HTTP server that does to each request what a script says, and remembers every arrival."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

_OPERATION = re.compile(rb"(?:op=|\"op\":\s*\")([\w-]+)")


@dataclass(frozen=True, slots=True)
class Reply:
    """What to do: wait until an instant (or for a time), then answer, or break the connection."""

    name: str
    status: int = 200
    body: bytes = b'{"results": [1]}'
    headers: str = ""
    delay_s: float = 0.0
    until_s: float = 0.0
    breaks: str = ""  # "reset", "eof" or "hang"


GOOD = Reply("good")


@dataclass(slots=True)
class Arrival:
    """One request as the server saw it."""

    t: float
    operation: str
    reply: Reply
    head: bytes
    body: bytes


@dataclass
class ScriptedServer:
    """`script` gets the request's head and gives the reply."""

    script: Callable[[bytes], Reply]
    arrivals: list[Arrival] = field(default_factory=list)
    accepted: int = 0
    port: int = 0
    _server: asyncio.Server | None = None
    _connections: set[_Connection] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), "127.0.0.1", self.port, backlog=1000)
        self.port = self._server.sockets[0].getsockname()[1]

    async def shut(self) -> None:
        """Close the port and break every connection on which no request is held."""
        assert self._server is not None
        self._server.close()
        for connection in list(self._connections):
            connection.break_if_idle()
        await asyncio.sleep(0)

    async def close(self) -> None:
        """Close the port and every connection for good."""
        assert self._server is not None
        self._server.close()
        await asyncio.sleep(0.01)  # connections that are being accepted
        while self._connections:
            for connection in list(self._connections):
                connection.abort()
            await asyncio.sleep(0)


class _Connection(asyncio.Protocol):
    def __init__(self, server: ScriptedServer) -> None:
        self._server = server
        self._data = b""
        self._holds = False

    def break_if_idle(self) -> None:
        if not self._holds:
            self.abort()

    def abort(self) -> None:
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._server._connections.add(self)
        self._server.accepted += 1

    def connection_lost(self, exc: Exception | None) -> None:
        self._server._connections.discard(self)

    def data_received(self, data: bytes) -> None:
        self._data += data
        head, end, body = self._data.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        if not end or len(body) < int(length[1] if length else 0):
            return
        reply = self._server.script(head)
        found = _OPERATION.search(self._data)
        self._server.arrivals.append(Arrival(time.monotonic(), found[1].decode() if found else "", reply, head, body))
        self._data = b""
        self._holds = True
        wait_s = max(reply.delay_s, reply.until_s - time.monotonic())
        if wait_s > 0:
            asyncio.get_running_loop().call_later(wait_s, self._reply, reply)
        else:
            self._reply(reply)

    def _reply(self, reply: Reply) -> None:
        if reply.breaks == "hang" or self._transport.is_closing():
            return
        self._holds = False
        if reply.breaks == "reset":
            peer: socket.socket = self._transport.get_extra_info("socket")
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._transport.abort()
        elif reply.breaks == "eof":
            self._transport.close()
        else:
            head = f"HTTP/1.1 {reply.status} X\r\nContent-Length: {len(reply.body)}\r\n{reply.headers}\r\n"
            self._transport.write(head.encode() + reply.body)
