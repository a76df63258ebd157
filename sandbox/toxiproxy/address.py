"""Addresses written "host:port"."""

import asyncio
import os
import socket

from sandbox.toxiproxy.errors import ApiError, bad_body

BACKLOG = 1024


def split(address: str) -> tuple[str, int]:
    """Host and port of "host:port" or "[v6]:port"; an empty address is ":0". Raises ApiError 400."""
    host, colon, port = (address or ":0").rpartition(":")
    if not colon or not port.isascii() or not port.isdecimal() or int(port) > 65535:
        raise bad_body(f"address {address}: missing or invalid port in address")
    return host.removeprefix("[").removesuffix("]"), int(port)


def join(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


async def resolve(address: str) -> tuple[str, int]:
    """The numeric address to listen on: IPv4 before IPv6, no host means all interfaces. Raises ApiError."""
    host, port = split(address)
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host or "0.0.0.0", port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        raise ApiError(500, f"listen tcp: lookup {host}: {error.strerror}") from error
    found.sort(key=lambda info: info[0] != socket.AF_INET)
    return str(found[0][4][0]), port


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens on a numeric address; port 0 takes a free one. Raises ApiError 500."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio switches Nagle's delay off only on sockets that name their protocol.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        reason = os.strerror(error.errno or 0).lower()
        raise ApiError(500, f"listen tcp {join(host, port)}: bind: {reason}") from error
    return listener
