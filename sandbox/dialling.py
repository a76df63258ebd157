"""Connections that come from an address of this machine's loopback net, as a pod's connections come from the pod's address."""

import asyncio
import socket
from collections.abc import Callable
from typing import TypeVar

P = TypeVar("P", bound=asyncio.BaseProtocol)
_LOOPBACK = "127."
_IP_BIND_ADDRESS_NO_PORT = 24
"""Linux: the port is chosen when the far end is known, so that one address has 28,000 connections to each."""


async def dial(factory: Callable[[], P], host: str, port: int, source: str) -> asyncio.Transport:
    """Connect from `source`; from wherever the kernel likes where it is empty or the far end is not on the loopback net. Raises OSError."""
    loop = asyncio.get_running_loop()
    if not (source.startswith(_LOOPBACK) and host.startswith(_LOOPBACK)):
        return (await loop.create_connection(factory, host, port))[0]
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
        sock.bind((source, 0))
        await loop.sock_connect(sock, (host, port))
        return (await loop.create_connection(factory, sock=sock))[0]
    except BaseException:
        sock.close()
        raise
