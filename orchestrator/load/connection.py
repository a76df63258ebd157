"""One HTTP/1.1 connection with at most one request on it."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Protocol, cast

import httptools

from orchestrator.load.classify import Answer
from orchestrator.load.pending import Pending
from probes.target import Marks

_RST_ON_CLOSE = struct.pack("ii", 1, 0)


class Owner(Protocol):
    """Whom a connection tells what happens to it."""

    def connected(self, connection: Connection) -> None:
        """It can take a request."""

    def answered(self, connection: Connection, request: Pending, answer: Answer, *, keep: bool) -> None:
        """The request's answer is complete; `keep` = the connection can take another request."""

    def garbled(self, request: Pending, error: Exception) -> None:
        """What came back is not HTTP; the connection is gone."""

    def lost(self, connection: Connection, request: Pending | None, error: Exception | None) -> None:
        """The connection ended, with a request on it or without."""


def wanted_headers(marks: Marks) -> dict[bytes, str]:
    """Lower-case header name -> field of Answer."""
    names = {
        "cache": marks.cached_header,
        "degraded": marks.degraded_header,
        "age": marks.age_header,
        "served_by": marks.served_by_header,
    }
    return {header.lower().encode(): field for field, header in names.items()}


class Connection(asyncio.Protocol):
    """Writes a request, reads its answer. Never sends anything twice."""

    __slots__ = ("_body", "_complete", "_headers", "_keep", "_owner", "_parser", "_request", "_status", "_wanted", "expires_s", "transport")

    def __init__(self, owner: Owner, wanted: dict[bytes, str], expires_s: float) -> None:
        self._owner = owner
        self._wanted = wanted
        self.expires_s = expires_s
        self.transport: asyncio.Transport | None = None
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        self._request: Pending | None = None
        self._reset()

    def _reset(self) -> None:
        self._body: list[bytes] = []
        self._headers: dict[str, str] = {}
        self._complete = self._keep = False
        self._status = 0

    @property
    def usable(self) -> bool:
        return self.transport is not None and not self.transport.is_closing()

    def send(self, request: Pending, message: bytes) -> None:
        """Put the request on the wire."""
        assert self.transport is not None
        self._request = request
        request.connection = self
        self.transport.write(message)

    def close(self) -> None:
        """End an idle connection in peace."""
        if self.transport is not None:
            self.transport.close()

    def abort(self) -> None:
        """Give up on the peer. A reset, because thousands of TIME_WAIT would use up the ports."""
        self._request = None
        if self.transport is not None:
            # The socket is None once it is closed.
            if (peer := self.transport.get_extra_info("socket")) is not None:
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST_ON_CLOSE)
            self.transport.abort()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is not an instance of it
        self._owner.connected(self)

    def data_received(self, data: bytes) -> None:
        request = self._request
        if request is None or self._parser is None:
            self.abort()  # nobody asked
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self.abort()
            self._owner.garbled(request, error)
            return
        if self._complete:
            self._request = None
            answer = Answer(self._status, b"".join(self._body), **self._headers)
            keep = self._keep
            self._reset()
            self._owner.answered(self, request, answer, keep=keep)

    def connection_lost(self, exc: Exception | None) -> None:
        request, self._request = self._request, None
        self._parser = None  # parser and connection know each other, and the collector is off
        self._owner.lost(self, request, exc)

    # httptools

    def on_header(self, name: bytes, value: bytes) -> None:
        if field := self._wanted.get(name.lower()):
            self._headers[field] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        assert self._parser is not None
        self._status = self._parser.get_status_code()
        self._keep = self._parser.should_keep_alive()
        self._complete = True
