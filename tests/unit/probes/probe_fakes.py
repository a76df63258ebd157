"""Stand-ins for our own clients, in virtual time: what they answer is set by the test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from virtual_time import VirtualClock

from probes.clients.http import HttpAnswer
from probes.clients.kube import Answer, PodList
from probes.clients.kube_watch import Expired, PodEvent
from probes.clients.pod_log import LogLine
from probes.clients.pods import Pod, Selector, Workload
from probes.clients.pubnub import Cursor, Message
from probes.clients.unreachable import Unreachable
from probes.target import TargetDescription

Item = TypeVar("Item")


def pod(name: str, *, version: int = 1, ready: bool = True, uid: str = "", restarts: int = 0) -> Pod:
    """A pod of the workload that its name begins with."""
    return Pod(
        name=name,
        uid=uid or f"uid-{name}",
        version=version,
        ip="127.1.16.1",
        ready=ready,
        restarts=restarts,
        deletion="",
        labels={"app": name.partition("-")[0]},
        ports={"http": 8080},
    )


def selector(workload: str) -> Selector:
    return Selector({"app": workload})


def description(**parts: Any) -> TargetDescription:
    """A small platform: gateway and sync."""
    route = {
        "method": "POST",
        "path": "/watchlist",
        "authenticated_ratio": 1,
        "maximum_ms": 200,
        "body": {"operation": "add", "content_id": "{content_id}"},
    }
    base: dict[str, Any] = {
        "name": "fake",
        "kubernetes": {"kubeconfig": "/nowhere", "context": "c", "namespace": "n"},
        "gateway_url": "http://gateway",
        "users": {"count": 5, "id_format": "user-{number}", "login_path": "/login", "password_env": "P"},
        "content_id_format": "content-{number:05d}",
        "content_count": 10,
        "routes": {"watchlist": route},
        "roles": {},
        "workloads": {"gateway": "deployments", "sync": "deployments"},
        "delivery": {"origin": "http://pubnub", "subscribe_key": "sub", "channel_format": "user.{user_id}.sync"},
    }
    return TargetDescription.model_validate(base | parts)


class FakeStream(Generic[Item]):
    """An answer that goes on and on; the test feeds its items."""

    def __init__(self) -> None:
        self.events: asyncio.Queue[Item | Exception | None] = asyncio.Queue()
        self.closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self.closed = True
        self.events.put_nowait(None)

    async def __aiter__(self) -> AsyncIterator[Item]:
        while (event := await self.events.get()) is not None:
            if isinstance(event, Exception):
                raise event
            yield event


class FakeWatch(FakeStream[PodEvent]):
    """A watch."""


class FakeLogStream(FakeStream[LogLine]):
    """A log that is followed."""


class FakeKube:
    """An API server in memory. `take_s` is how long a pod takes to answer; `down` makes every call fail."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.version = 1
        self.store: dict[str, Pod] = {}
        self.watches: list[FakeWatch] = []
        self.watched_from: list[int] = []
        self.deaf = False
        self.expired = False
        self.down = False
        self.unreadable: set[str] = set()
        self.take_s: dict[str, float] = {}
        self.pages: Callable[[str, str], Answer] = lambda pod, path: Answer(200, b"{}")
        self.fetches: list[tuple[str, str]] = []
        self.logs: dict[str, list[LogLine]] = {}
        self.streams: dict[str, FakeLogStream] = {}
        self.mute = False

    def put(self, one: Pod) -> None:
        self.version += 1
        changed = Pod(**{name: getattr(one, name) for name in one.__slots__} | {"version": self.version})
        known = self.store.get(one.uid)
        self.store[one.uid] = changed
        self._tell(PodEvent(self.clock.now(), "MODIFIED" if known else "ADDED", self.version, changed))

    def delete(self, uid: str) -> None:
        self.version += 1
        self._tell(PodEvent(self.clock.now(), "DELETED", self.version, self.store.pop(uid)))

    def _tell(self, event: PodEvent) -> None:
        if not self.deaf and self.watches:
            self.watches[-1].events.put_nowait(event)

    async def pods(self, *, label_selector: str = "") -> PodList:
        self._check("pods")
        return PodList(self.version, tuple(self.store.values()))

    async def workload(self, resource: str, name: str) -> Workload:
        self._check(name)
        return Workload(name, 2, 2, selector(name))

    def watch_pods(self, version: int) -> FakeWatch:
        self._check("watch")
        self.watched_from.append(version)
        self.watches.append(FakeWatch())
        if self.expired:
            self.expired = False
            self.watches[-1].events.put_nowait(Expired("pods"))
        return self.watches[-1]

    async def pod_get(self, name: str, port: int, path: str, *, timeout_s: float) -> Answer:
        self.fetches.append((name, path))
        take_s = self.take_s.get(name, 0.001)
        await asyncio.sleep(min(take_s, timeout_s))
        if take_s > timeout_s:
            raise Unreachable(name, "time-out")
        self._check(name)
        return self.pages(name, path)

    def log(self, name: str, *texts: str) -> None:
        """The pod writes lines, all with one stamp that has nothing to do with our clock. `mute`: no stream tells."""
        stamp = f"2001-01-01T00:00:{len(self.logs.setdefault(name, [])):02}.5Z"
        lines = [LogLine(self.clock.now(), stamp, text) for text in texts]
        self.logs[name] += lines
        if not self.mute and name in self.streams:
            for line in lines:
                self.streams[name].events.put_nowait(line)

    def restart(self, name: str) -> None:
        """The container's log begins anew and its stream ends."""
        self.logs[name] = []
        self.streams.pop(name).close()

    async def pod_log(self, name: str, *, since: str = "", timeout_s: float) -> list[LogLine]:
        self._check(name)
        return [line for line in self.logs.get(name, []) if line.stamped >= since]

    def follow_log(self, name: str, *, since: str = "") -> FakeLogStream:
        self._check(name)
        stream = self.streams[name] = FakeLogStream()
        for line in self.logs.get(name, []):
            if line.stamped >= since:
                stream.events.put_nowait(line)
        return stream

    def _check(self, what: str) -> None:
        if self.down or what in self.unreadable:
            raise Unreachable(what, "refused")


class FakePubNub:
    """Device B's server: messages in order, kept for whoever polls later."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.published = asyncio.Event()
        self.down = False

    def publish(self, channel: str, payload: object) -> None:
        self.messages.append(Message(channel, payload))
        self.published.set()

    async def now(self) -> str:
        self._check()
        return "1"

    async def handshake(self) -> Cursor:
        self._check()
        return Cursor(str(len(self.messages)), 1)

    async def poll(self, cursor: Cursor) -> tuple[Cursor, list[Message]]:
        self._check()
        position = int(cursor.timetoken)
        try:
            async with asyncio.timeout(5):
                while len(self.messages) <= position:
                    self.published.clear()
                    await self.published.wait()
        except TimeoutError as error:
            raise Unreachable("pubnub", "nothing came") from error
        self._check()
        return Cursor(str(len(self.messages)), 1), self.messages[position:]

    def _check(self) -> None:
        if self.down:
            raise Unreachable("pubnub", "refused")


class FakeGateway:
    """Device A's server; `answer` decides, and may publish."""

    def __init__(self, answer: Callable[[dict[str, Any], str], HttpAnswer]) -> None:
        self.answer = answer

    async def request(self, method: str, path: str, *, json: dict[str, Any], headers: dict[str, str]) -> HttpAnswer:
        await asyncio.sleep(0.01)
        return self.answer(json, headers["authorization"])
