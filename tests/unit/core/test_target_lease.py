"""The run's hold on its target, in virtual time against a server that remembers one Lease."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from virtual_time import START_S, VirtualClock, run_virtual

from orchestrator.errors import RefusedError, TargetError
from orchestrator.target_lease import TargetLease
from orchestrator.targets.lease import LeaseState


class Server:
    """One Lease with optimistic writes; `down` makes every call fail."""

    def __init__(self, held: LeaseState | None = None) -> None:
        self.held = held
        self.down = self.hangs = False
        self.answers_lost = 0
        self.closed = 0
        self._version = 7

    def close(self) -> None:
        self.closed += 1

    async def read(self) -> LeaseState | None:
        await self._answer()
        held = self.held
        # The answer is on its way while others are asked, too.
        await asyncio.sleep(0)
        return held

    async def write(self, holder: str, seen: LeaseState | None, *, lasts_s: int, now: str) -> LeaseState | None:
        await self._answer()
        assert (lasts_s, now[10], now[-1]) == (15, "T", "Z")
        if seen != self.held:
            return None
        written = self.renewed_by(holder)
        if self.answers_lost:
            self.answers_lost -= 1
            raise TargetError("the connection broke")
        return written

    async def delete(self, held: LeaseState) -> None:
        await self._answer()
        self.held = None if held == self.held else self.held

    def renewed_by(self, holder: str) -> LeaseState:
        self._version += 1
        self.held = LeaseState(holder, str(self._version))
        return self.held

    async def _answer(self) -> None:
        if self.hangs:
            await asyncio.sleep(1000)
        if self.down:
            raise TargetError("the API server is down")


def lease(server: Any, clock: VirtualClock) -> TargetLease:
    return TargetLease(server, "run-1", clock)


def virtually(work: Callable[[VirtualClock], Awaitable[None]]) -> None:
    run_virtual(work)


@pytest.mark.parametrize("before", [None, LeaseState("", "3"), LeaseState("run-1", "3")], ids=["none", "nobody's", "our own"])
def test_a_free_lease_is_taken_at_once_and_given_up(before: LeaseState | None) -> None:
    async def main(clock: VirtualClock) -> None:
        server = Server(before)
        ours = lease(server, clock)
        await ours.take(lambda _text: None)
        assert server.held is not None
        assert (server.held.holder, clock.now()) == ("run-1", START_S)
        await ours.give_up()
        assert (server.held, server.closed) == (None, 1)

    virtually(main)


def test_a_lease_that_nobody_renews_for_as_long_as_it_lasts_is_taken_over() -> None:
    async def main(clock: VirtualClock) -> None:
        server, said = Server(LeaseState("run-0", "3")), list[str]()
        await lease(server, clock).take(said.append)
        assert server.held is not None
        assert (server.held.holder, clock.now() - START_S) == ("run-1", 15.0)
        assert said == ["run run-0 has the lease of this target; looking for 15 s whether it still goes"]

    virtually(main)


def test_a_lease_that_is_renewed_is_not_touched() -> None:
    async def main(clock: VirtualClock) -> None:
        server = Server(LeaseState("run-0", "3"))
        asyncio.get_running_loop().call_at(START_S + 9.5, lambda: server.renewed_by("run-0"))
        with pytest.raises(RefusedError, match="run run-0 is on this target: wait until it is over, or end it with `orchestrator abort`"):
            await lease(server, clock).take(lambda _text: None)
        assert server.held is not None
        assert (server.held.holder, clock.now() - START_S) == ("run-0", 10.0)

    virtually(main)


def test_of_two_runs_that_come_at_the_same_moment_one_is_refused() -> None:
    async def main(clock: VirtualClock) -> None:
        server = Server()
        first, second = TargetLease(server, "run-1", clock), TargetLease(server, "run-2", clock)  # type: ignore[arg-type]
        outcomes = await asyncio.gather(
            *(one.take(lambda _text: None) for one in (first, second)),
            return_exceptions=True,
        )
        assert [type(one) for one in outcomes] == [type(None), RefusedError]

    virtually(main)


def test_it_is_renewed_and_a_stolen_one_is_told() -> None:
    async def main(clock: VirtualClock) -> None:
        server = Server()
        ours = lease(server, clock)
        await ours.take(lambda _text: None)
        asyncio.get_running_loop().call_at(START_S + 19, lambda: server.renewed_by("run-9"))
        assert await ours.keep() == "run run-9 took the lease of the target"
        assert clock.now() - START_S == 21.0
        await ours.give_up()
        assert server.held is not None
        assert server.held.holder == "run-9"

    virtually(main)


def test_a_renewal_whose_answer_is_lost_is_a_renewal() -> None:
    async def main(clock: VirtualClock) -> None:
        server = Server()
        ours = lease(server, clock)
        await ours.take(lambda _text: None)
        server.answers_lost = 1
        keeping = asyncio.create_task(ours.keep())
        await clock.sleep_until(START_S + 60)
        assert not keeping.done()
        keeping.cancel()

    virtually(main)


@pytest.mark.parametrize(("hangs", "ends_s"), [(False, 9.0), (True, 10.0)], ids=["refuses", "hangs"])
def test_a_server_that_is_down_ends_the_run_well_before_another_may_come(hangs: bool, ends_s: float) -> None:
    async def main(clock: VirtualClock) -> None:
        server = Server()
        ours = lease(server, clock)
        await ours.take(lambda _text: None)
        server.down, server.hangs = not hangs, hangs
        assert (await ours.keep()).startswith("the lease of the target could not be renewed: the API server ")
        assert clock.now() - START_S == ends_s

    virtually(main)


def test_a_server_that_is_down_for_a_moment_ends_nothing() -> None:
    async def main(clock: VirtualClock) -> None:
        server = Server()
        ours = lease(server, clock)
        await ours.take(lambda _text: None)
        loop = asyncio.get_running_loop()
        for at_s, down in ((4, True), (10, False)):
            loop.call_at(START_S + at_s, setattr, server, "down", down)
        keeping = asyncio.create_task(ours.keep())
        await clock.sleep_until(START_S + 60)
        assert not keeping.done()
        keeping.cancel()

    virtually(main)


def test_a_lease_that_is_given_up_while_we_look_is_taken() -> None:
    async def main(clock: VirtualClock) -> None:
        server = Server(LeaseState("run-0", "3"))
        asyncio.get_running_loop().call_at(START_S + 4.5, setattr, server, "held", None)
        await lease(server, clock).take(lambda _text: None)
        assert server.held is not None
        assert (server.held.holder, clock.now() - START_S) == ("run-1", 5.0)

    virtually(main)


def test_a_lease_that_a_dead_run_left_is_given_up_for_it_and_no_others() -> None:
    async def main(clock: VirtualClock) -> None:
        for holder, left in (("run-1", None), ("run-2", "run-2")):
            server = Server(LeaseState(holder, "3"))
            await lease(server, clock).give_up()
            assert (server.held.holder if server.held else None) == left

    virtually(main)
