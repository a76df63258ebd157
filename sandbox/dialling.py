"""Connections that come from an address of this machine's loopback net, as a pod's connections come from the pod's address."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

P = TypeVar("P", bound=asyncio.BaseProtocol)
_LOOPBACK = "127."


async def dial(factory: Callable[[], P], host: str, port: int, source: str) -> asyncio.Transport:
    """Connect from `source`; from wherever the kernel likes where it is empty or the far end is not on the loopback net. Raises OSError."""
    local = (source, 0) if source.startswith(_LOOPBACK) and host.startswith(_LOOPBACK) else None
    return (await asyncio.get_running_loop().create_connection(factory, host, port, local_addr=local))[0]
