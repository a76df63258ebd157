"""Messages per channel, kept for late subscribers, and the long polls that wait for them."""

import asyncio
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sandbox.pubnub.timetokens import Timetokens

_CHANNEL_MESSAGES = 1_000
# One wildcard stands for many channels, so its ring must outlast a partition at the rate of all of them.
_WILDCARD_MESSAGES = 20_000
# Source: PubNub's documentation, the queue that one subscribe call returns at most.
_DELIVERY_MESSAGES = 100


@dataclass(frozen=True, slots=True)
class Message:
    """One published message; payload and meta are JSON text as it came."""

    timetoken: int
    channel: str
    payload: bytes
    publisher: str
    meta: bytes | None = None
    is_signal: bool = False
    is_stored: bool = True


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message with the subscribed name that it matched: its channel or a wildcard such as `user.*`."""

    message: Message
    matched: str


class Broker:
    """The rings of all channels and wildcards; lives in one event loop."""

    def __init__(self) -> None:
        self.timetokens = Timetokens()
        self.open_polls = 0
        self._rings: dict[str, deque[Message]] = {}
        self._waiters: defaultdict[str, set[asyncio.Future[None]]] = defaultdict(set)
        self._closing = False

    def publish(self, message: Message) -> None:
        """Keep the message and wake every poll that subscribed to it."""
        for name in (message.channel, *_wildcards(message.channel)):
            self._ring(name).append(message)
            for waiter in self._waiters.get(name, ()):
                if not waiter.done():
                    waiter.set_result(None)

    async def poll(self, names: Sequence[str], after: int, timeout_s: float) -> list[Delivery]:
        """Messages newer than the timetoken `after`, oldest first; waits for one, empty when none came in time."""
        found = self._newer(names, after)
        if found or self._closing:
            return found
        try:
            async with asyncio.timeout(timeout_s):
                await self._woken(names)
        except TimeoutError:
            return []
        return self._newer(names, after)

    def stored(self, channel: str) -> Iterator[Message]:
        """What history knows of a channel, oldest first."""
        return (message for message in self._rings.get(channel, ()) if message.is_stored)

    def close(self) -> None:
        """Answer every open poll, and from now on each new one at once."""
        self._closing = True
        for waiters in self._waiters.values():
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)

    async def _woken(self, names: Sequence[str]) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        for name in names:
            self._waiters[name].add(waiter)
        self.open_polls += 1
        try:
            await waiter
        finally:
            self.open_polls -= 1
            self._forget(waiter, names)

    def _forget(self, waiter: asyncio.Future[None], names: Sequence[str]) -> None:
        for name in names:
            self._waiters[name].discard(waiter)
            if not self._waiters[name]:
                del self._waiters[name]

    def _ring(self, name: str) -> deque[Message]:
        if name not in self._rings:
            self._rings[name] = deque(maxlen=_WILDCARD_MESSAGES if name.endswith(".*") else _CHANNEL_MESSAGES)
        return self._rings[name]

    def _newer(self, names: Sequence[str], after: int) -> list[Delivery]:
        """The oldest messages after a timetoken, each once even when several names match it."""
        found: dict[int, Delivery] = {}
        # Wildcards first, so that the exact name wins.
        for name in sorted(names, key=lambda name: not name.endswith(".*")):
            for message in reversed(self._rings.get(name, ())):
                if message.timetoken <= after:
                    break
                found[message.timetoken] = Delivery(message, name)
        return [found[timetoken] for timetoken in sorted(found)[:_DELIVERY_MESSAGES]]


def _wildcards(channel: str) -> Iterator[str]:
    """`a.b.c` is matched by `a.*` and `a.b.*`."""
    parts = channel.split(".")
    return (".".join(parts[:end]) + ".*" for end in range(1, len(parts)))
