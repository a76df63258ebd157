"""Relays TCP connections between clients of a Service and its endpoints, with back-pressure."""

import asyncio
import socket
import struct
from collections.abc import Sequence
from typing import cast

from sandbox.dialling import dial

Address = tuple[str, int]

LOCALHOST = "127.0.0.1"
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
        self._early: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self.peer is not None:
            self.peer.write(data)
        elif self.transport is not None:
            # Kept until there is a peer. (uvloop reads even if one pauses in connection_made.)
            self._early.append(data)
            self.transport.pause_reading()

    def join(self, peer: asyncio.Transport) -> None:
        """From now on the two sides are one connection."""
        self.peer = peer
        # Not writelines: with an empty list, uvloop's transport writes nothing any more.
        for data in self._early:
            peer.write(data)
        self._early.clear()
        if self.transport is not None:
            self.transport.resume_reading()

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
    """The accepted side, which finds itself an endpoint."""

    def __init__(self, backend: Backend) -> None:
        super().__init__()
        self._backend = backend
        self._connecting: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        assert self.transport is not None
        self._connecting = asyncio.get_running_loop().create_task(self._connect(self.transport))

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._connecting is not None:
            self._connecting.cancel()

    async def _connect(self, client: asyncio.Transport) -> None:
        # As on a real node a pod sees the address of its client; who has none of its own needs none.
        peer = client.get_extra_info("peername")
        source = "" if peer is None or peer[0] == LOCALHOST else str(peer[0])
        for host, port in self._backend.candidates():
            upstream = await _open(host, port, source)
            if upstream is None:
                continue
            if client.is_closing() or upstream.is_closing():
                upstream.abort()
                break
            cast(_Half, upstream.get_protocol()).join(client)
            self.join(upstream)
            return
        reset(client)


async def _open(host: str, port: int, source: str) -> asyncio.Transport | None:
    try:
        async with asyncio.timeout(_CONNECT_TIMEOUT_S):
            return await dial(_Half, host, port, source)
    except (OSError, TimeoutError):
        return None


def reset(transport: asyncio.Transport) -> None:
    """Close so that the other side sees a reset, as it would from a pod that died."""
    sock = transport.get_extra_info("socket")
    if sock is not None and not transport.is_closing():
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    transport.abort()
