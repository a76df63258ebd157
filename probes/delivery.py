"""The delivery probe: numbered operations posted on one test device, awaited on another that listens at PubNub directly."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from probes.clients.http import HttpClient
from probes.clients.pubnub import Cursor, Message, PubNubSubscriber
from probes.clients.unreachable import Unreachable
from probes.clock import Clock
from probes.operations import OperationNames, operation_body
from probes.sampler import Record, Sightings, ticks, wait_until
from probes.target import Delivery, TargetDescription
from steady_state.observations import DeliveryLine, OperationLine

RATE_PER_S = 2.0
DRAIN_S = 30.0
"""Source: design 6, delivery "within 30 s of H (the sampler drains that long)"."""
REACH_PERIOD_S = 1.0
RETRY_S = 0.2
SUBJECT = "pubnub"


@dataclass(frozen=True, slots=True)
class DeliverySettings:
    """Who the test devices are. `token` gives a user's present access token; `rate_per_s` is over all users together."""

    run_id: str
    users: Sequence[str]
    token: Callable[[str], str]
    rate_per_s: float = RATE_PER_S
    drain_s: float = DRAIN_S


class DeliveryProbe:
    """Records each operation when it is answered and each arrival, doubles too. After `stop` it waits for what is still out."""

    name = "delivery"

    def __init__(
        self, *, clock: Clock, description: TargetDescription, settings: DeliverySettings, gateway: HttpClient, device_b: PubNubSubscriber
    ) -> None:
        self._clock = clock
        self._description = description
        self._route = _delivery(description).route
        self._settings = settings
        self._names = OperationNames(settings.run_id)
        self._gateway = gateway
        self._device_b = device_b
        self._user_of = {channel: user for user, channel in zip(settings.users, channels(description, settings.users), strict=True)}
        self._outstanding: set[tuple[str, int]] = set()
        self._listening = asyncio.Event()

    async def run(self, record: Record, stop: asyncio.Event) -> None:
        self._record = record
        self._sightings = Sightings(self.name, period_s=REACH_PERIOD_S, clock=self._clock, record=record)
        self._sightings.expect(SUBJECT)
        async with asyncio.TaskGroup() as group:
            ears = [group.create_task(work) for work in (self._sightings.beat(), self._reach(), self._listen())]
            await self._post_all(stop)
            await self._drain()
            for ear in ears:
                ear.cancel()

    async def _post_all(self, stop: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as group:
            for place, user in enumerate(self._settings.users):
                group.create_task(self._post_for_ever(user, place, stop))

    async def _post_for_ever(self, user: str, place: int, stop: asyncio.Event) -> None:
        """Device A of one user: an operation is answered (or given up) before the next is sent, so that they have an order."""
        await _first(stop, self._listening)
        period_s = len(self._settings.users) / self._settings.rate_per_s
        due, number = self._clock.now() + place / self._settings.rate_per_s, 0
        while not await wait_until(self._clock, due, stop):
            await self._post(user, number)
            number += 1
            due = max(due + period_s, self._clock.now())

    async def _post(self, user: str, number: int) -> None:
        route = self._description.routes[self._route]
        content = self._description.content_id_format.format(number=1 + number % self._description.content_count)
        values = {"content_id": content, "user_id": user, "operation_id": self._names.name(user, number), "query": ""}
        headers = {"authorization": f"Bearer {self._settings.token(user)}"}
        body = operation_body(self._description, self._route, values)
        # Before it is sent: it may arrive on device B before it is answered here.
        self._outstanding.add((user, number))
        sent = self._clock.now()
        try:
            answer = await self._gateway.request(route.method, route.path, json=body, headers=headers)
        except Unreachable:
            # Not answered: nobody knows whether it was accepted, so nobody waits for it.
            self._outstanding.discard((user, number))
            return
        accepted = answer.status < 300
        queued = accepted and self._description.marks.degraded_header in answer.headers
        self._record(OperationLine(t=sent, number=number, user=user, accepted=accepted, queued=queued))
        if not accepted:
            self._outstanding.discard((user, number))

    async def _listen(self) -> None:
        cursor: Cursor | None = None
        while True:
            try:
                if cursor is None:
                    cursor = await self._device_b.handshake()
                    self._listening.set()
                cursor, messages = await self._device_b.poll(cursor)
            except Unreachable:
                # Also a poll in which nothing came. The cursor stays: what was published meanwhile comes with the next answer.
                await self._clock.sleep_until(self._clock.now() + RETRY_S)
                continue
            for message in messages:
                self._arrive(message)

    def _arrive(self, message: Message) -> None:
        t = self._clock.now()
        if (user := self._user_of.get(message.channel)) is None:
            return
        for number in self._names.numbers(user, message.payload):
            self._record(DeliveryLine(t=t, number=number, user=user))
            self._outstanding.discard((user, number))

    async def _reach(self) -> None:
        async for _ in ticks(self._clock, REACH_PERIOD_S):
            try:
                await self._device_b.now()
            except Unreachable as error:
                self._sightings.missed(SUBJECT, str(error))
            else:
                self._sightings.seen(SUBJECT, self._clock.now())

    async def _drain(self) -> None:
        end = self._clock.now() + self._settings.drain_s
        while self._outstanding and self._clock.now() < end:
            await self._clock.sleep_until(min(end, self._clock.now() + RETRY_S))


def channels(description: TargetDescription, users: Sequence[str]) -> list[str]:
    """The channel of each user, in their order."""
    return [_delivery(description).channel_format.format(user_id=user) for user in users]


def device_b(description: TargetDescription, users: Sequence[str], run_id: str) -> PubNubSubscriber:
    """The listening device of all users. It goes to PubNub directly: only the platform's link is ever cut."""
    delivery = _delivery(description)
    return PubNubSubscriber(
        origin=delivery.origin,
        subscribe_key=delivery.subscribe_key,
        channels=channels(description, users),
        device=f"probe-{quote(run_id, safe='')}",
    )


def _delivery(description: TargetDescription) -> Delivery:
    if description.delivery is None:
        raise ValueError(f"target {description.name} describes no delivery")
    return description.delivery


async def _first(*events: asyncio.Event) -> None:
    waiting = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for one in waiting:
            one.cancel()
