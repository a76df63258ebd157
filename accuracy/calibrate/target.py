"""The scripted target: one process that answers, by the timetable, whoever asks. Its script comes on stdin, its ledger goes to stdout.

Lines on stdin: the script as JSON, then `begin <instant of minute 0>`; end-of-file ends it.
Lines on stdout: the port, then the ledger as JSON.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import sys
from typing import cast

import httptools
import orjson

from accuracy.calibrate.ledger import Ledger
from accuracy.calibrate.timetable import (
    FALLBACK_AGE_S,
    SLOW_S,
    STALE_AGE_S,
    Action,
    BreakerTimetable,
    RouteTimetable,
    Script,
)
from orchestrator.load.event_loop import new_event_loop
from probes.clock import SystemClock

_STDIN = 0
_RST_ON_CLOSE = struct.pack("ii", 1, 0)
_BACKLOG = 1024
_LOOK_S = 0.005
"""So often the target looks whether its own loop was held up."""
_NUMBERS = {"closed": 0, "half_open": 1, "open": 2}
"""Source: target description, "0 closed, 1 half-open, 2 open"."""


class Scene:
    """What all connections share: timetables, ledger, and minute 0 once it is known."""

    def __init__(self, script: Script) -> None:
        self.routes = {name: RouteTimetable(phases) for name, phases in script.routes.items()}
        self.breakers = {name: BreakerTimetable(steps) for name, steps in script.breakers.items()}
        self.ledger = Ledger()
        self.clock = SystemClock()
        self.minute_0: float | None = None

    def since_minute_0(self) -> float:
        """Seconds; before minute 0 is known, long before it."""
        return -1e9 if self.minute_0 is None else self.clock.now() - self.minute_0

    def action(self, route: str, request_id: str) -> Action:
        """What this request meets, written down."""
        action = self.routes[route].action_at(self.since_minute_0())
        if action != "serve":
            self.ledger.note(route, action, request_id)
        return action

    def breaker_page(self, name: str, form: str) -> bytes:
        """The breaker as a health document, or as a metric."""
        state, changes = self.breakers[name].state_at(self.since_minute_0())
        if form == "metric":
            return f'breaker_state{{name="{name}"}} {_NUMBERS[state]}\n'.encode()
        return orjson.dumps({"breaker": {"state": state, "changes": changes}})

    async def watch_itself(self) -> None:
        """Write down when the loop was held up: what arrived meanwhile met a later instant of the timetable."""
        due = self.clock.now()
        while True:
            due += _LOOK_S
            await self.clock.sleep_until(due)
            now = self.clock.now()
            self.ledger.note_stall(now, now - due)
            due = max(due, now)


class Answering(asyncio.Protocol):
    """One connection."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._parser = httptools.HttpRequestParser(self)
        self._path = ""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self._path = url.decode("ascii")

    def on_message_complete(self) -> None:
        kind, name, last = self._path.strip("/").split("/")
        if kind == "breakers":
            self._answer(self._scene.breaker_page(name, last))
            return
        body = orjson.dumps({"id": last})
        match self._scene.action(name, last):
            case "error":
                self._answer(body, status="503 Service Unavailable")
            case "reset":
                self._reset()
            case "eof":
                self._open().close()
            case "hang":
                pass
            case "slow":
                asyncio.get_running_loop().call_later(SLOW_S, self._answer, body)
            case "fallback":
                self._answer(body, headers=f"X-Degraded: last-known\r\nAge: {FALLBACK_AGE_S}\r\n")
            case "stale":
                self._answer(body, headers=f"X-Degraded: last-known\r\nAge: {STALE_AGE_S}\r\n")
            case "serve":
                self._answer(body)

    def _answer(self, body: bytes, status: str = "200 OK", headers: str = "") -> None:
        transport = self._open()
        if not transport.is_closing():
            head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
            transport.write(head.encode() + body)

    def _reset(self) -> None:
        transport = self._open()
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST_ON_CLOSE)
        transport.abort()

    def _open(self) -> asyncio.Transport:
        assert self._transport is not None
        return self._transport


async def _serve(script: Script, rest: bytes) -> None:
    loop = asyncio.get_running_loop()
    scene = Scene(script)
    over = loop.create_future()
    server = await loop.create_server(lambda: Answering(scene), "127.0.0.1", 0, backlog=_BACKLOG)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201 - the answer to whoever started this process
    buffer = bytearray(rest)

    def read() -> None:
        data = os.read(_STDIN, 4096)
        buffer.extend(data)
        if not data:
            loop.remove_reader(_STDIN)
            over.set_result(None)
        elif buffer.endswith(b"\n"):
            scene.minute_0 = float(buffer.split()[1])

    loop.add_reader(_STDIN, read)
    watch = loop.create_task(scene.watch_itself())
    await over
    watch.cancel()
    server.close()
    print(scene.ledger.text(), flush=True)  # noqa: T201 - as above


def _read_script() -> tuple[Script, bytes]:
    """The first line of stdin, and what came after it."""
    data = bytearray()
    while b"\n" not in data and (block := os.read(_STDIN, 1 << 20)):
        data += block
    line, _, rest = bytes(data).partition(b"\n")
    return Script.model_validate_json(line), rest


def main() -> int:
    """Serve until end-of-file on stdin."""
    script, rest = _read_script()
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(_serve(script, rest))
    return 0


if __name__ == "__main__":
    sys.exit(main())
