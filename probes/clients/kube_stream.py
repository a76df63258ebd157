"""One answer of the API server that goes on and on: a thread reads its lines, the loop gets them with the instant of their arrival."""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterator
from types import TracebackType
from typing import Generic, Self, TypeVar

import urllib3

from probes.clients.unreachable import Unreachable, words
from probes.clock import Clock

Stream = urllib3.BaseHTTPResponse
Item = TypeVar("Item")


class Expired(Exception):  # noqa: N818 - the API's own word
    """The store no longer knows the version that the watch asked for (410): list again."""


class _End:
    """The stream is over: by the server or by `close` (no error), or because of `error`."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error


class LineStream(ABC, Generic[Item]):
    """`async with stream: async for item in stream`. The loop ends when the server closes or after `close()`.

    Raises Expired and Unreachable from the iteration.
    """

    def __init__(self, *, what: str, opener: Callable[[], Stream], clock: Clock) -> None:
        self._what = what
        self._opener = opener
        self._clock = clock
        self._items: asyncio.Queue[Item | _End] = asyncio.Queue()
        self._closed = threading.Event()
        self._stream: Stream | None = None
        self._lock = threading.Lock()

    @abstractmethod
    def item(self, line: bytes, t: float) -> Item:
        """What a line says that arrived at `t`. Raises ValueError, Expired or Unreachable; called in the thread."""

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        # A daemon: a thread that waits for a silent server must not keep the process alive.
        threading.Thread(target=self._read, name="kube-stream", daemon=True).start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the iteration at once; the thread ends as soon as its socket tells it."""
        with self._lock:
            self._closed.set()
            if self._stream is not None:
                _shut(self._stream)
        self._items.put_nowait(_End())

    async def __aiter__(self) -> AsyncIterator[Item]:
        while not isinstance(item := await self._items.get(), _End):
            yield item
        if item.error is not None:
            raise item.error

    def _read(self) -> None:
        end = _End()
        try:
            self._follow()
        except (Expired, Unreachable) as error:
            end = _End(error)
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            end = _End(Unreachable(self._what, words(error)))
        self._hand_over(end)

    def _follow(self) -> None:
        stream = self._opener()
        try:
            with self._lock:
                if self._closed.is_set():
                    return
                self._stream = stream
            if stream.status == 410:
                raise Expired(self._what)
            if stream.status != 200:
                raise Unreachable(self._what, f"answered {stream.status}", status=stream.status)
            for line in _lines(stream):
                if self._closed.is_set():
                    return
                self._hand_over(self.item(line, self._clock.now()))
        finally:
            with self._lock:
                self._stream = None
            stream.close()

    def _hand_over(self, item: Item | _End) -> None:
        if self._closed.is_set():
            return
        try:
            self._loop.call_soon_threadsafe(self._items.put_nowait, item)
        except RuntimeError:
            # The loop has closed: nobody is left to tell.
            self._closed.set()


def _shut(stream: Stream) -> None:
    try:
        stream.shutdown()
    except (ValueError, OSError):
        # Already over.
        return


def _lines(stream: Stream) -> Iterator[bytes]:
    rest = b""
    for chunk in stream.stream(amt=None):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (line for line in lines if line.strip())
