"""A worker of several, in a pod: its order lies in a folder, its lines are fetched by GET, its run tells it when to start and to stop."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable
from pathlib import Path
from typing import cast

import httptools
import orjson

from orchestrator.load import wire
from orchestrator.load.address import Address
from orchestrator.load.desk import Desk
from orchestrator.load.keeping import keep_plan
from orchestrator.load.kept_lines import KeptLines
from orchestrator.load.order import WorkerOrder
from probes.clock import Clock, SystemClock

ORDER, KEY = "order.json.gz", "key"
"""The files of the folder: a WorkerOrder without number and start, and the word that each question must carry."""
UNHEARD_S = 30.0
"""A worker that nobody has asked for so long has no run any more. The run gives up sooner: when it hears nothing for 10 s."""
_LOOK_S = 1.0

Answering = Callable[[str, str], tuple[int, bytes]]


class UnheardError(Exception):
    """The run is gone."""


def read_order(folder: Path, worker: int) -> tuple[WorkerOrder, str]:
    """The order of this worker, and the key. Raises OSError or ValidationError (a ValueError)."""
    order = orjson.loads(gzip.decompress((folder / ORDER).read_bytes()))
    return WorkerOrder.model_validate(order | {"worker": worker}), (folder / KEY).read_text(encoding="ascii")


async def serve(order: WorkerOrder, key: str, port: int) -> None:
    """Keep the order's plan when told to and go on serving its lines until nobody asks any more.

    Raises OSError when the target's name does not resolve or the port is taken, UnheardError when the run is gone before the end.
    """
    clock, lines = SystemClock(), KeptLines()
    desk = Desk(key, lines, clock.now)
    # Whoever answers can begin.
    await Address(order.base_url).resolve()
    server = await asyncio.get_running_loop().create_server(lambda: _Asked(desk.answer), None, port)
    silent = asyncio.create_task(unheard(desk, clock))
    working = asyncio.create_task(_keep(order, desk, lines))
    try:
        await asyncio.wait({working, silent}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise UnheardError(f"nobody has asked for {UNHEARD_S:g} s: the run is gone")
        await working
        await silent
    finally:
        working.cancel()
        silent.cancel()
        server.close()


async def _keep(order: WorkerOrder, desk: Desk, lines: KeptLines) -> None:
    start_s, ahead_s = await desk.begun
    desk.state = "working"
    plan = order.plan.model_copy(update={"start_s": start_s})
    await keep_plan(order.model_copy(update={"plan": plan}), lines, SystemClock(ahead_s), desk.commanded)
    desk.state = "ended"


async def unheard(desk: Desk, clock: Clock) -> None:
    """Return when nobody has asked for UNHEARD_S."""
    while clock.now() - desk.heard_s < UNHEARD_S:
        await clock.sleep_until(clock.now() + _LOOK_S)


class _Asked(asyncio.Protocol):
    """One connection of whoever asks, one GET after another."""

    def __init__(self, answering: Answering) -> None:
        self._answering = answering
        self._parser: httptools.HttpRequestParser | None = httptools.HttpRequestParser(self)
        self._target = self._key = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is not an instance of it

    def connection_lost(self, exc: Exception | None) -> None:
        self._parser = None  # parser and connection know each other, and the collector is off

    def data_received(self, data: bytes) -> None:
        try:
            if self._parser is not None:
                self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._transport.close()

    # httptools

    def on_message_begin(self) -> None:
        self._target = self._key = ""

    def on_url(self, url: bytes) -> None:
        self._target += url.decode("latin-1")

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == wire.KEY_HEADER.lower().encode():
            self._key = value.decode("latin-1")

    def on_message_complete(self) -> None:
        assert self._parser is not None
        status, body = self._answering(self._target, self._key) if self._parser.get_method() == b"GET" else (405, b"only GET\n")
        self._transport.write(b"HTTP/1.1 %d X\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body))
        if not self._parser.should_keep_alive():
            self._transport.close()
