"""Joins connections to the inherited socket (the host's loopback) with the API server in this network namespace."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import suppress

from testbed.layout import API_PORT
from testbed.machines import LISTENER

CHUNK_BYTES = 1 << 16


async def main() -> None:
    listener = socket.socket(fileno=int(os.environ[LISTENER]))
    async with await asyncio.start_server(_join, sock=listener) as server:
        await server.serve_forever()


async def _join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", API_PORT)
    except OSError:
        writer.close()
        return
    await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
    writer.close()


if __name__ == "__main__":
    asyncio.run(main())
