"""Connections to the target: used in turn, each retired after a while, so that the load reaches every replica."""

from __future__ import annotations

import asyncio
import errno
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Protocol

from orchestrator.load.address import Address
from orchestrator.load.classify import Answer
from orchestrator.load.connection import Connection, wanted_headers
from orchestrator.load.pending import Pending
from probes.target import Marks
from steady_state.outcomes import Outcome

_JITTER = (0.75, 1.25)  # of a connection's age, so that those opened together do not end together
_DIALS_AT_ONCE = 16  # while warming up and replacing retired connections
_PAUSE_AFTER_FAILURE_S = 1.0
_OUR_FAULT = frozenset({errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS, errno.ENOMEM})


class Requests(Protocol):
    """Who is told how each request ended."""

    def message(self, request: Pending) -> bytes:
        """The bytes to send."""

    def answered(self, request: Pending, answer: Answer) -> None:
        """The target answered."""

    def failed(self, request: Pending, outcome: Outcome, detail: str) -> None:
        """No answer will come."""


@dataclass(frozen=True, slots=True)
class Limits:
    """`spread` connections are kept open in rotation, never more than `cap`."""

    spread: int
    cap: int
    dial_timeout_s: float
    retire_after_s: float


class Pool:
    """A request goes out on a free connection, else on a new one, else (at the cap) not at all. A failure is never tried again.

    Requests that wait for a connection take the first that is free. Each waiting request has a dial of its own under way.
    """

    def __init__(self, address: Address, limits: Limits, marks: Marks, requests: Requests, now: Callable[[], float], rng: Random) -> None:
        self._address = address
        self._limits = limits
        self._wanted = wanted_headers(marks)
        self._requests = requests
        self._now = now
        self._rng = rng
        self._idle: deque[Connection] = deque()
        self._waiting: deque[Pending] = deque()
        self._dials: set[asyncio.Task[None]] = set()
        self._open = 0  # connections, those under way included
        self._dialling = 0
        self._no_spare_before_s = 0.0
        self._closing = False

    async def warm_up(self) -> None:
        """Open the rotation; stops at the first failure, the load will tell."""
        for _ in range(0, self._limits.spread, _DIALS_AT_ONCE):
            if self._no_spare_before_s or self._open >= self._limits.spread:
                return
            self._top_up()
            await asyncio.gather(*self._dials)

    def submit(self, request: Pending) -> None:
        """Send the request, or say that it failed."""
        now = self._now()
        while self._idle:
            connection = self._idle.popleft()
            if connection.expires_s > now and connection.usable:
                connection.send(request, self._requests.message(request))
                return
            connection.close()
        if self._open >= self._limits.cap:
            self._requests.failed(request, Outcome.UNSENT, "every connection waits for the target")
            return
        self._waiting.append(request)
        self._dial()

    def tend(self) -> None:
        """Replace connections that were retired or lost."""
        if self._open < self._limits.spread and not self._closing and self._now() >= self._no_spare_before_s:
            self._top_up()

    async def close(self) -> None:
        """Close everything."""
        self._closing = True
        for connection in list(self._idle):
            connection.close()
        for dial in self._dials:
            dial.cancel()
        await asyncio.gather(*self._dials, return_exceptions=True)

    # Owner of connections

    def connected(self, connection: Connection) -> None:
        self._dialling -= 1
        self._free(connection)

    def answered(self, connection: Connection, request: Pending, answer: Answer, *, keep: bool) -> None:
        if keep and connection.expires_s > self._now():
            self._free(connection)
        else:
            connection.close()
        self._requests.answered(request, answer)

    def garbled(self, request: Pending, error: Exception) -> None:
        self._requests.failed(request, Outcome.WRONG_ANSWER, f"not HTTP: {error}")

    def lost(self, connection: Connection, request: Pending | None, error: Exception | None) -> None:
        self._open -= 1
        if connection in self._idle:
            self._idle.remove(connection)
        if request is None:
            return
        if error is None:
            self._requests.failed(request, Outcome.EOF, "connection closed before the answer was complete")
        else:
            self._requests.failed(request, Outcome.RESET, str(error) or type(error).__name__)

    # Inside

    def _free(self, connection: Connection) -> None:
        """Give the connection to the request that has waited longest, else back to the rotation."""
        request = self._next_waiting()
        if request is not None:
            connection.send(request, self._requests.message(request))
        elif len(self._idle) < self._limits.spread and not self._closing:
            self._idle.append(connection)
        else:
            connection.close()

    def _next_waiting(self) -> Pending | None:
        while self._waiting:
            request = self._waiting.popleft()
            if not request.done:
                return request
        return None

    def _top_up(self) -> None:
        for _ in range(min(self._limits.spread - self._open, _DIALS_AT_ONCE - self._dialling)):
            self._dial()

    def _dial(self) -> None:
        self._open += 1
        self._dialling += 1
        dial = asyncio.get_running_loop().create_task(self._connect())
        self._dials.add(dial)
        dial.add_done_callback(self._dials.discard)

    async def _connect(self) -> None:
        connection = Connection(self, self._wanted, self._now() + self._limits.retire_after_s * self._rng.uniform(*_JITTER))
        address = self._address
        server_name = address.name if address.tls else None
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._limits.dial_timeout_s):
                await loop.create_connection(lambda: connection, address.ip, address.port, ssl=address.tls, server_hostname=server_name)
        except OSError as error:  # TimeoutError is one
            if connection.transport is None:  # else `lost` tells the end
                self._dial_failed(error)

    def _dial_failed(self, error: OSError) -> None:
        self._open -= 1
        self._dialling -= 1
        self._no_spare_before_s = self._now() + _PAUSE_AFTER_FAILURE_S
        while self._waiting and self._waiting[0].done:
            self._waiting.popleft()
        if len(self._waiting) > self._dialling:  # else another dial is under way for each
            self._requests.failed(self._waiting.popleft(), _outcome(error), str(error) or type(error).__name__)


def _outcome(error: OSError) -> Outcome:
    """What a failed dial means: no connection came about, for whatever reason of the target's."""
    if error.errno in _OUR_FAULT:
        return Outcome.GENERATOR
    if isinstance(error, TimeoutError):
        return Outcome.TIMEOUT
    return Outcome.RESET if isinstance(error, ConnectionResetError) else Outcome.REFUSED
