"""What a watch makes of each way in which an API server ends it, on a server that speaks from a script."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from probes.clients.kube import KubeReader
from probes.clients.kube_watch import Expired, PodEvent
from probes.clients.unreachable import Unreachable
from probes.clock import SystemClock
from probes.target import Kubernetes


def event(kind: str, name: str, version: int) -> bytes:
    pod = {"metadata": {"name": name, "uid": name, "resourceVersion": str(version)}, "spec": {}, "status": {}}
    return json.dumps({"type": kind, "object": pod}).encode() + b"\n"


def chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"
ERROR_410 = json.dumps({"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": "too old"}}).encode() + b"\n"


@asynccontextmanager
async def scripted(directory: Path, *parts: bytes) -> AsyncIterator[KubeReader]:
    """A reader of a server that sends these parts, each in a packet of its own, and hangs up."""

    done = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            await reader.readuntil(b"\r\n\r\n")
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(0.01)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
        done.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    kubeconfig = directory / "kubeconfig"
    cluster = {"name": "c", "cluster": {"server": f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"}}
    context = {"name": "c", "context": {"cluster": "c", "user": "c"}}
    user = {"name": "c", "user": {"token": "t"}}
    document: dict[str, Any] = {"apiVersion": "v1", "kind": "Config", "clusters": [cluster], "contexts": [context], "users": [user]}
    kubeconfig.write_text(json.dumps(document))
    kube = KubeReader(Kubernetes(kubeconfig=kubeconfig, context="c", namespace="n"), SystemClock())
    try:
        yield kube
    finally:
        await done.wait()
        kube.close()
        server.close()


async def watched(kube: KubeReader) -> list[PodEvent]:
    async with asyncio.timeout(5), kube.watch_pods(1) as watch:
        return [one async for one in watch]


async def test_events_in_any_packets_and_a_normal_end(tmp_path: Path) -> None:
    added, bookmark, deleted = event("ADDED", "a", 7), event("BOOKMARK", "", 9), event("DELETED", "a", 11)
    both = chunk(bookmark + deleted[:30]) + chunk(deleted[30:])
    async with scripted(tmp_path, HEAD, chunk(added[:20]), chunk(added[20:]), both, END) as kube:
        events = await watched(kube)
    assert [(one.change, one.version, one.pod and one.pod.name) for one in events] == [
        ("ADDED", 7, "a"),
        ("BOOKMARK", 9, None),
        ("DELETED", 11, "a"),
    ]


@pytest.mark.parametrize(
    "parts",
    [
        (b"HTTP/1.1 410 Gone\r\nContent-Length: 2\r\n\r\n{}",),
        (HEAD, chunk(event("ADDED", "a", 7)), chunk(ERROR_410), END),
    ],
)
async def test_a_forgotten_version_is_expired(tmp_path: Path, parts: tuple[bytes, ...]) -> None:
    async with scripted(tmp_path, *parts) as kube:
        with pytest.raises(Expired):
            await watched(kube)


@pytest.mark.parametrize(
    "parts",
    [
        (),
        (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\n{}",),
        (HEAD, chunk(b"nonsense\n"), END),
        (HEAD, chunk(event("ADDED", "a", 7)), b"5\r\nab"),
    ],
)
async def test_everything_else_is_unreachable(tmp_path: Path, parts: tuple[bytes, ...]) -> None:
    async with scripted(tmp_path, *parts) as kube:
        with pytest.raises(Unreachable):
            await watched(kube)


@pytest.mark.parametrize("body", [b"<html>", b"[]", b""])
async def test_an_answer_that_is_no_document_is_unreachable(tmp_path: Path, body: bytes) -> None:
    async with scripted(tmp_path, b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body) as kube:
        with pytest.raises(Unreachable):
            await kube.pods()
