"""The fault proxy in a process of its own, an upstream behind it and clients in front of it; fixtures for two modules."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

START_S = 10.0
WAIT_S = 5.0
WITHOUT_UVLOOP = "import sys, runpy; sys.modules['uvloop'] = None; runpy.run_module('sandbox.toxiproxy', run_name='__main__')"
COMMANDS = {"uvloop": ["-m", "sandbox.toxiproxy"], "asyncio": ["-c", WITHOUT_UVLOOP]}


@dataclass
class Program:
    """A running server and what it logs."""

    process: subprocess.Popen[bytes]
    log: Path

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def url(self) -> str:
        """Where the API listens; waits for the line that says so."""
        deadline_s = time.monotonic() + START_S
        while time.monotonic() < deadline_s and self.process.poll() is None:
            for line in self.lines():
                if line["message"] == "listening":
                    return f"http://{line['address']}"
            time.sleep(0.01)
        raise AssertionError(f"not listening: {self.log.read_text()}")


@contextmanager
def program(log: Path, *arguments: str, kind: str = "uvloop", **environment: str) -> Iterator[Program]:
    """The server in a process of its own; killed at the end if it still runs."""
    command = [sys.executable, *COMMANDS[kind], *arguments]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=os.environ | environment)
    try:
        yield Program(process, log)
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module", params=["uvloop", "asyncio"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    log = tmp_path_factory.mktemp("toxiproxy") / "log"
    with program(log, "--host", "127.83.0.9", "--port", "0", kind=request.param) as running:
        yield running.url()
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(timeout=2) == 0
        assert "Traceback" not in log.read_text()


@pytest.fixture(scope="module")
def http(server: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server, timeout=WAIT_S) as client:
        yield client


@pytest.fixture
def api(http: httpx.Client) -> Iterator[httpx.Client]:
    """An HTTP client of the API; every proxy is gone afterwards."""
    yield http
    for name in http.get("/proxies").json():
        http.delete(f"/proxies/{name}")


@dataclass
class Echo:
    """An upstream that answers with what it got and remembers how it came."""

    chunks: list[bytes] = field(default_factory=list)
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    reads: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self.reads.wait()
            while data := await reader.read(1 << 16):
                self.chunks.append(data)
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()
            self.closed.set()

    @property
    def data(self) -> bytes:
        return b"".join(self.chunks)


class Client:
    """A connection through the proxy."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def ask(self, data: bytes = b"ping") -> float:
        """Send, wait for the same back; how long it took in seconds."""
        start_s = time.monotonic()
        self.writer.write(data)
        assert await asyncio.wait_for(self.reader.readexactly(len(data)), WAIT_S) == data
        return time.monotonic() - start_s

    async def rest(self) -> bytes:
        """Everything until the end of the stream."""
        return await asyncio.wait_for(self.reader.read(), WAIT_S)

    async def is_silent(self, seconds: float) -> bool:
        """Whether neither data nor an end comes within this time."""
        try:
            await asyncio.wait_for(self.reader.read(1), seconds)
        except TimeoutError:
            return True
        return False


@dataclass
class Relay:
    """A proxy "echo" with its upstream; clients that it made are closed at the end."""

    api: httpx.Client
    upstream: Echo
    listen: str
    clients: list[Client] = field(default_factory=list)

    async def connect(self) -> Client:
        host, _, port = self.listen.rpartition(":")
        client = Client(*await asyncio.open_connection(host, int(port)))
        self.clients.append(client)
        return client

    def add(self, kind: str, stream: str = "downstream", toxicity: float = 1.0, **attributes: int) -> str:
        body = {"type": kind, "stream": stream, "toxicity": toxicity, "attributes": attributes}
        answer = self.api.post("/proxies/echo/toxics", json=body)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["name"])

    def change(self, name: str, **attributes: int) -> None:
        answer = self.api.patch(f"/proxies/echo/toxics/{name}", json={"attributes": attributes})
        assert answer.status_code == 200, answer.text

    def remove(self, name: str) -> None:
        assert self.api.delete(f"/proxies/echo/toxics/{name}").status_code == 204

    def enable(self, enabled: bool) -> dict[str, Any]:
        answer = self.api.patch("/proxies/echo", json={"enabled": enabled})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def is_refused(self) -> bool:
        try:
            await self.connect()
        except ConnectionRefusedError:
            return True
        return False


@pytest.fixture
async def relay(api: httpx.Client) -> AsyncIterator[Relay]:
    upstream = Echo()
    upstream.reads.set()
    listener = await asyncio.start_server(upstream.serve, "127.0.0.1", 0)
    target = f"127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    answer = api.post("/proxies", json={"name": "echo", "listen": "127.83.0.10:0", "upstream": target})
    relay = Relay(api, upstream, answer.json()["listen"])
    yield relay
    upstream.reads.set()
    api.delete("/proxies/echo")
    for client in relay.clients:
        client.writer.close()
    listener.close()
    await listener.wait_closed()
