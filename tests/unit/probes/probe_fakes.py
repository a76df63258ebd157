"""Stand-ins for our own clients, in virtual time: what they answer is set by the test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Any

from virtual_time import VirtualClock

from probes.clients.http import HttpAnswer
from probes.clients.kube import Answer, PodList
from probes.clients.kube_watch import Expired, PodEvent
from probes.clients.pods import Pod, Selector, Workload
from probes.clients.pubnub import Cursor, Message
from probes.clients.unreachable import Unreachable
from probes.target import TargetDescription


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


class FakeWatch:
    """A watch whose events the test feeds."""

    def __init__(self) -> None:
        self.events: asyncio.Queue[PodEvent | Exception | None] = asyncio.Queue()
        self.closed = False

    async def __aenter__(self) -> FakeWatch:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self.closed = True
        self.events.put_nowait(None)

    async def __aiter__(self) -> AsyncIterator[PodEvent]:
        while (event := await self.events.get()) is not None:
            if isinstance(event, Exception):
                raise event
            yield event


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
