"""A TCP relay on loopback that can hold everything back for a while, or refuse every connection, in both directions."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Self

_CHUNK_BYTES = 65536


class TcpRelay:
    """Relays to one address. An async context manager; `host` and `port` are where it listens."""

    def __init__(self, upstream_host: str, upstream_port: int) -> None:
        self._upstream = (upstream_host, upstream_port)
        self._open = asyncio.Event()
        self._open.set()
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.host, self.port = "127.0.0.1", 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, self.host, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        await self._cut()

    async def _cut(self) -> None:
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    def hold(self) -> None:
        """Nothing passes from now on; connections stay as they are."""
        self._open.clear()

    def release(self) -> None:
        """What was held back passes, and everything after it."""
        self._open.set()

    async def refuse(self) -> None:
        """Nobody listens from now on, and connections end."""
        assert self._server is not None
        self._server.close()
        await self._cut()

    async def listen_again(self) -> None:
        """Take connections at the same port as before. Raises OSError when somebody else has it now."""
        self._server = await asyncio.start_server(self._accept, self.host, self.port)

    async def stall(self, seconds: float) -> None:
        """Hold everything back for so long."""
        self.hold()
        try:
            await asyncio.sleep(seconds)
        finally:
            self.release()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._relay(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._open.wait()
            far_reader, far_writer = await asyncio.open_connection(*self._upstream)
            try:
                await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))
            finally:
                far_writer.transport.abort()
        except OSError:
            pass  # one end is gone: so is the connection
        finally:
            writer.transport.abort()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(_CHUNK_BYTES):
            await self._open.wait()
            sink.write(data)
            await sink.drain()
        await self._open.wait()
        with suppress(OSError):
            sink.write_eof()
