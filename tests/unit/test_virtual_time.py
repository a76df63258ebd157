"""The virtual loop itself."""

from __future__ import annotations

import asyncio

import pytest
from virtual_time import START_S, StuckError, VirtualClock, run_virtual


def test_an_hour_of_ticks_takes_no_time_and_ends_at_the_exact_instant() -> None:
    async def main(clock: VirtualClock) -> tuple[int, float]:
        ticks = 0
        while clock.now() < START_S + 3600:
            ticks += 1
            await clock.sleep_until(START_S + ticks * 0.2)
        return ticks, clock.now()

    assert run_virtual(main) == (18_000, START_S + 3600)


def test_timers_of_several_tasks_fire_in_order() -> None:
    async def main(clock: VirtualClock) -> list[str]:
        seen: list[str] = []

        async def at(offset_s: float, name: str) -> None:
            await clock.sleep_until(START_S + offset_s)
            seen.append(f"{name}@{clock.now() - START_S:g}")

        await asyncio.gather(at(3, "c"), at(1, "a"), at(2, "b"))
        return seen

    assert run_virtual(main) == ["a@1", "b@2", "c@3"]


def test_time_outs_are_virtual_too() -> None:
    async def main(clock: VirtualClock) -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(300):
                await asyncio.Event().wait()
        return clock.now() - START_S

    assert run_virtual(main) == 300


def test_a_wait_that_nothing_can_end_is_an_error_not_a_hang() -> None:
    async def main(_clock: VirtualClock) -> None:
        await asyncio.Event().wait()

    with pytest.raises(StuckError):
        run_virtual(main)
