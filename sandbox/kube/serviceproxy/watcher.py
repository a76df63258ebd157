"""Keeps a copy of one kind of object up to date: list, watch, and list again when the watch breaks."""

import asyncio
import logging
import ssl
from collections.abc import Callable
from typing import Any

import aiohttp
import orjson

from sandbox.kube.kubeconfig import Access

log = logging.getLogger(__name__)

_FIRST_RETRY_S = 0.05
_LAST_RETRY_S = 1.0
_LONGEST_LINE = 4 * 1024 * 1024


def session(access: Access) -> aiohttp.ClientSession:
    """A session that trusts the cluster's authority and carries its token."""
    context = ssl.create_default_context(cadata=access.authority.decode())
    return aiohttp.ClientSession(
        base_url=access.api_url,
        connector=aiohttp.TCPConnector(ssl=context),
        headers={"Authorization": f"Bearer {access.token}"},
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=5),
        read_bufsize=_LONGEST_LINE,
    )


class Watcher:
    """Fills `objects` (by uid) with what lies at `path` and calls `on_change` after each change."""

    def __init__(self, client: aiohttp.ClientSession, path: str, objects: dict[str, dict[str, Any]], on_change: Callable[[], None]) -> None:
        self._client = client
        self._path = path
        self._objects = objects
        self._on_change = on_change

    async def run(self) -> None:
        retry_s = _FIRST_RETRY_S
        while True:
            try:
                revision = await self._list()
                retry_s = _FIRST_RETRY_S
                await self._watch(revision)
            except (aiohttp.ClientError, TimeoutError, OSError, KeyError, ValueError) as error:
                log.warning("%s: %r, again in %.2f s", self._path, error, retry_s)
                await asyncio.sleep(retry_s)
                retry_s = min(retry_s * 2, _LAST_RETRY_S)

    async def _list(self) -> str:
        async with self._client.get(self._path, raise_for_status=True) as answer:
            body = orjson.loads(await answer.read())
        self._objects.clear()
        self._objects.update({item["metadata"]["uid"]: item for item in body["items"]})
        self._on_change()
        return str(body["metadata"]["resourceVersion"])

    async def _watch(self, revision: str) -> None:
        """Follow until the stream ends. A stream that goes quiet is no error: the cluster is."""
        parameters = {"watch": "true", "resourceVersion": revision}
        async with self._client.get(self._path, params=parameters, raise_for_status=True) as answer:
            async for line in answer.content:
                event = orjson.loads(line)
                if event["type"] == "ERROR":
                    return
                self._take(event["type"], event["object"])

    def _take(self, kind: str, obj: dict[str, Any]) -> None:
        if kind == "DELETED":
            self._objects.pop(obj["metadata"]["uid"], None)
        elif kind in ("ADDED", "MODIFIED"):
            self._objects[obj["metadata"]["uid"]] = obj
        self._on_change()
