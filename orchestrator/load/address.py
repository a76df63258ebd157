"""Where the target is: resolved before the start and again every 30 s, so that a fault never waits for a resolver."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from urllib.parse import urlsplit

_RESOLVE_EVERY_S = 30.0


class Address:
    """Host and port of a base URL."""

    def __init__(self, base_url: str) -> None:
        url = urlsplit(base_url)
        self.name = url.hostname or ""
        self.port = url.port or (443 if url.scheme == "https" else 80)
        self.tls = ssl.create_default_context() if url.scheme == "https" else None
        self.ip = ""

    async def resolve(self) -> None:
        """Set `ip`. Raises OSError when the name has none."""
        found = await asyncio.get_running_loop().getaddrinfo(self.name, self.port, type=1)
        self.ip = str(found[0][4][0])

    async def keep_resolved(self) -> None:
        """Follow the name until cancelled; while it does not resolve, the last answer holds."""
        while True:
            await asyncio.sleep(_RESOLVE_EVERY_S)
            with contextlib.suppress(OSError):
                await self.resolve()
