"""The delivery probe in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

from probe_fakes import FakeGateway, FakePubNub, description
from virtual_time import START_S, VirtualClock, run_virtual

from probes.clients.http import HttpAnswer, HttpClient
from probes.clients.pubnub import PubNubSubscriber
from probes.clients.unreachable import Unreachable
from probes.delivery import DeliveryProbe, DeliverySettings
from probes.operations import OperationNames
from steady_state.observations import DeliveryLine, GapLine, Observation, OperationLine

USERS = ("user-1", "user-2", "user-3", "user-4", "user-5")


class Platform:
    """Accepts operations and publishes them after `lag_s`; the test switches its PubNub."""

    def __init__(self, pubnub: FakePubNub) -> None:
        self.pubnub = pubnub
        self.lag_s = 0.05
        self.copies = 1
        self.answer: Callable[[], HttpAnswer] = lambda: HttpAnswer(200, {}, b"{}")
        self.bodies: list[dict[str, Any]] = []

    def __call__(self, body: dict[str, Any], authorization: str) -> HttpAnswer:
        answer = self.answer()
        user = authorization.removeprefix("Bearer token-of-")
        self.bodies.append(body)
        if answer.status == 200:
            message = {"type": "watchlist", "data": {"operation_id": body["operation_id"]}}
            for _ in range(self.copies):
                asyncio.get_running_loop().call_later(self.lag_s, self.pubnub.publish, f"user.{user}.sync", message)
        return answer


Script = list[tuple[float, Callable[[Platform], object]]]


def run(script: Script, *, end_s: float) -> tuple[list[Observation], Platform, float]:
    async def main(clock: VirtualClock) -> tuple[list[Observation], Platform, float]:
        lines, stop = cast("list[Observation]", []), asyncio.Event()
        pubnub = FakePubNub()
        platform = Platform(pubnub)
        probe = DeliveryProbe(
            clock=clock,
            description=description(),
            settings=DeliverySettings(run_id="r-1", users=USERS, token=lambda user: f"token-of-{user}"),
            gateway=cast("HttpClient", FakeGateway(platform)),
            device_b=cast("PubNubSubscriber", pubnub),
        )

        async def play() -> None:
            for offset_s, act in script:
                await clock.sleep_until(START_S + offset_s)
                act(platform)
            await clock.sleep_until(START_S + end_s)
            stop.set()

        await asyncio.gather(probe.run(lines.append, stop), play())
        return lines, platform, clock.now() - START_S

    return run_virtual(main)


def operations(lines: list[Observation]) -> list[OperationLine]:
    return [line for line in lines if isinstance(line, OperationLine)]


def deliveries(lines: list[Observation]) -> list[DeliveryLine]:
    return [line for line in lines if isinstance(line, DeliveryLine)]


def test_two_operations_a_second_each_user_with_its_own_numbers_in_order() -> None:
    lines, platform, _ = run([], end_s=60)
    sent = operations(lines)
    assert abs(len(sent) - 120) <= 1
    for user in USERS:
        numbers = [line.number for line in sent if line.user == user]
        assert numbers == list(range(len(numbers)))
    assert {(line.user, line.number) for line in deliveries(lines)} == {(line.user, line.number) for line in sent}
    assert platform.bodies[0] == {"operation": "add", "content_id": "content-00001", "operation_id": "probe-r-1-user-1-0"}


def test_after_stop_it_waits_until_everything_accepted_has_arrived() -> None:
    lines, _, ended_s = run([(5, lambda platform: setattr(platform, "lag_s", 12.0))], end_s=10.1)
    assert {(line.user, line.number) for line in deliveries(lines)} == {(line.user, line.number) for line in operations(lines)}
    assert 21.9 < ended_s < 23


def test_what_never_arrives_is_waited_for_no_longer_than_the_bound() -> None:
    lines, _, ended_s = run([(5, lambda platform: setattr(platform, "copies", 0))], end_s=10.1)
    assert 40 <= ended_s <= 40.5
    assert len(deliveries(lines)) < len(operations(lines))


def test_doubles_are_recorded() -> None:
    lines, _, _ = run([(0, lambda platform: setattr(platform, "copies", 2))], end_s=5)
    assert len(deliveries(lines)) == 2 * len(operations(lines))


def test_a_queued_answer_says_so_and_a_refused_one_is_not_accepted() -> None:
    def queued(platform: Platform) -> None:
        platform.answer = lambda: HttpAnswer(200, {"X-Degraded": "queued"}, b"{}")

    def refused(platform: Platform) -> None:
        platform.answer = lambda: HttpAnswer(503, {"X-Degraded": "queued"}, b"{}")

    lines, _, ended_s = run([(2.9, queued), (5.9, refused)], end_s=9)
    kinds = [(line.accepted, line.queued) for line in operations(lines)]
    assert set(kinds) == {(True, False), (True, True), (False, False)}
    assert kinds == sorted(kinds, key=[(True, False), (True, True), (False, False)].index)
    assert ended_s < 10


def test_a_request_without_an_answer_makes_no_line() -> None:
    def dead() -> HttpAnswer:
        raise Unreachable("gateway", "refused")

    lines, _, ended_s = run([(3.4, lambda platform: setattr(platform, "answer", dead))], end_s=9)
    assert max(line.t for line in operations(lines)) < START_S + 3.4
    assert ended_s < 10


def test_it_survives_a_pubnub_that_is_away_and_misses_nothing() -> None:
    def away(platform: Platform) -> None:
        platform.pubnub.down = True
        platform.pubnub.published.set()

    lines, _, _ = run([(10.2, away), (20.2, lambda platform: setattr(platform.pubnub, "down", False))], end_s=30)
    assert {(line.user, line.number) for line in deliveries(lines)} == {(line.user, line.number) for line in operations(lines)}
    assert len(deliveries(lines)) == len(operations(lines))
    (gap,) = [line for line in lines if isinstance(line, GapLine)]
    assert (gap.subject, gap.from_t - START_S, gap.t - START_S) == ("pubnub", 10, 21)


def test_nothing_is_sent_before_device_b_listens() -> None:
    lines, _, _ = run(
        [(0, lambda platform: setattr(platform.pubnub, "down", True)), (8.0, lambda platform: setattr(platform.pubnub, "down", False))],
        end_s=12,
    )
    # The handshake may have been made before the first act of the script; then nothing is lost either.
    assert {(line.user, line.number) for line in deliveries(lines)} == {(line.user, line.number) for line in operations(lines)}


def test_names_of_operations() -> None:
    names = OperationNames("r-1")
    assert names.number("user-1", names.name("user-1", 42)) == 42
    assert names.number("user-1", "probe-r-1-user-11-4") is None
    assert names.number("user-1", "probe-r-2-user-1-4") is None
    assert names.numbers("user-1", [{"operation_id": "probe-r-1-user-1-7"}, {"deep": {"operation_id": "other"}}, 3]) == [7]
