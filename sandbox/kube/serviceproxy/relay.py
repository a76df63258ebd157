"""Relays TCP connections between clients of a Service and its endpoints, with back-pressure."""

import asyncio
import socket
import struct
from collections.abc import Sequence
from typing import cast

Address = tuple[str, int]

_CONNECT_TIMEOUT_S = 2.0
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Backend:
    """The ready endpoints of one Service port, taken in turn."""

    def __init__(self) -> None:
        self.endpoints: Sequence[Address] = ()
        self._turn = 0

    def candidates(self) -> list[Address]:
        """The next endpoint and the one after it, which is tried when the first cannot be reached."""
        endpoints = self.endpoints
        if not endpoints:
            return []
        first = self._turn % len(endpoints)
        self._turn += 1
        return list(dict.fromkeys((endpoints[first], endpoints[(first + 1) % len(endpoints)])))


class _Half(asyncio.Protocol):
    """One side of a relayed connection: what it reads is written to its peer."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.peer: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self.peer is not None:
            self.peer.write(data)

    def pause_writing(self) -> None:
        if self.peer is not None and not self.peer.is_closing():
            self.peer.pause_reading()

    def resume_writing(self) -> None:
        if self.peer is not None and not self.peer.is_closing():
            self.peer.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.peer is not None:
            if exc is None:
                self.peer.close()
            else:
                reset(self.peer)
        self.peer = None


class ClientHalf(_Half):
    """The accepted side; it reads nothing until an endpoint is connected."""

    def __init__(self, backend: Backend) -> None:
        super().__init__()
        self._backend = backend
        self._early = b""
        self._connecting: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        assert self.transport is not None
        self.transport.pause_reading()
        self._connecting = asyncio.get_running_loop().create_task(self._connect(self.transport))

    def data_received(self, data: bytes) -> None:
        # uvloop delivers what has come already although connection_made paused reading.
        if self.peer is None:
            self._early += data
        super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._connecting is not None:
            self._connecting.cancel()

    async def _connect(self, client: asyncio.Transport) -> None:
        for host, port in self._backend.candidates():
            upstream = await _open(host, port)
            if upstream is None:
                continue
            if client.is_closing():
                upstream.abort()
                return
            half = cast(_Half, upstream.get_protocol())
            half.peer, self.peer = client, upstream
            if self._early:
                upstream.write(self._early)
            client.resume_reading()
            return
        reset(client)


async def _open(host: str, port: int) -> asyncio.Transport | None:
    try:
        async with asyncio.timeout(_CONNECT_TIMEOUT_S):
            transport, _ = await asyncio.get_running_loop().create_connection(_Half, host, port)
            return transport
    except (OSError, TimeoutError):
        return None


def reset(transport: asyncio.Transport) -> None:
    """Close so that the other side sees a reset, as it would from a pod that died."""
    sock = transport.get_extra_info("socket")
    if sock is not None and not transport.is_closing():
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    transport.abort()
