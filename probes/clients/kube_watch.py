"""One watch connection: a thread reads the stream, the loop gets the events with the instant of their arrival."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal

import urllib3

from probes.clients.pods import Pod, pod_of
from probes.clients.unreachable import Unreachable, words
from probes.clock import Clock

Stream = urllib3.BaseHTTPResponse


class Expired(Exception):  # noqa: N818 - the API's own word
    """The store no longer knows the version that the watch asked for (410): list again."""


@dataclass(frozen=True, slots=True)
class PodEvent:
    """A change that arrived at `t`. `pod` is None for a bookmark, which only moves `version`."""

    t: float
    change: Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]
    version: int
    pod: Pod | None


class _End:
    """The stream is over: by the server or by `close` (no error), or because of `error`."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error


class Watch:
    """`async with watch: async for event in watch`. The loop ends when the server closes or after `close()`.

    Raises Expired and Unreachable from the iteration.
    """

    def __init__(self, *, what: str, opener: Callable[[], Stream], clock: Clock) -> None:
        self._what = what
        self._opener = opener
        self._clock = clock
        self._events: asyncio.Queue[PodEvent | _End] = asyncio.Queue()
        self._closed = threading.Event()
        self._stream: Stream | None = None
        self._lock = threading.Lock()

    async def __aenter__(self) -> Watch:
        self._loop = asyncio.get_running_loop()
        # A daemon: a thread that waits for a silent server must not keep the process alive.
        threading.Thread(target=self._read, name="kube-watch", daemon=True).start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the iteration at once; the thread ends as soon as its socket tells it."""
        with self._lock:
            self._closed.set()
            if self._stream is not None:
                _shut(self._stream)
        self._events.put_nowait(_End())

    async def __aiter__(self) -> AsyncIterator[PodEvent]:
        while not isinstance(event := await self._events.get(), _End):
            yield event
        if event.error is not None:
            raise event.error

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
                raise Unreachable(self._what, f"watch answered {stream.status}", status=stream.status)
            for line in _lines(stream):
                if self._closed.is_set():
                    return
                self._hand_over(_event(self._what, json.loads(line), self._clock.now()))
        finally:
            with self._lock:
                self._stream = None
            stream.close()

    def _hand_over(self, item: PodEvent | _End) -> None:
        if self._closed.is_set():
            return
        try:
            self._loop.call_soon_threadsafe(self._events.put_nowait, item)
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


def _event(what: str, document: dict[str, Any], t: float) -> PodEvent:
    change, content = document["type"], document["object"]
    if change == "ERROR":
        if content.get("code") == 410:
            raise Expired(what)
        raise Unreachable(what, f"watch error {content.get('code')}: {content.get('message')}", status=int(content.get("code") or 0))
    version = int(content["metadata"]["resourceVersion"])
    return PodEvent(t=t, change=change, version=version, pod=None if change == "BOOKMARK" else pod_of(content))
