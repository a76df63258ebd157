"""Cadence, beats and gaps, in virtual time."""

from __future__ import annotations

import asyncio

import pytest
from virtual_time import START_S, VirtualClock, run_virtual

from probes.sampler import Sightings, ticks, until_stopped, wait_until
from steady_state.observations import BeatLine, GapLine, Observation


def test_ticks_keep_their_cadence_for_an_hour_whatever_a_round_takes() -> None:
    async def main(clock: VirtualClock) -> list[float]:
        seen: list[float] = []
        async for instant in ticks(clock, 0.2):
            seen.append(round(instant - START_S, 6))
            await clock.sleep_until(clock.now() + 0.05)
            if instant >= START_S + 3600:
                return seen
        raise AssertionError

    seen = run_virtual(main)
    assert seen == [round(number * 0.2, 6) for number in range(18_001)]


def test_a_slow_round_leaves_ticks_out_and_makes_no_burst() -> None:
    async def main(clock: VirtualClock) -> list[float]:
        seen: list[float] = []
        async for instant in ticks(clock, 1.0):
            seen.append(round(clock.now() - START_S, 6))
            if len(seen) == 2:
                await clock.sleep_until(instant + 4.5)
            if len(seen) == 5:
                return seen
        raise AssertionError

    assert run_virtual(main) == [0, 1, 5.5, 6, 7]


def gaps_of(script: list[tuple[float, str]], *, period_s: float = 0.2) -> list[tuple[float, float, str]]:
    """Gaps that a script of (instant, word) makes for one subject."""

    async def main(clock: VirtualClock) -> list[Observation]:
        lines: list[Observation] = []
        sightings = Sightings("probe", period_s=period_s, clock=clock, record=lines.append)
        sightings.expect("x")
        for offset_s, word in script:
            await clock.sleep_until(START_S + offset_s)
            match word:
                case "seen":
                    sightings.seen("x", clock.now())
                case "missed":
                    sightings.missed("x", "refused")
                case "away":
                    sightings.away("x", clock.now())
                case "expect":
                    sightings.expect("x")
                case "close":
                    sightings.close()
        return lines

    return [
        (round(line.from_t - START_S, 6), round(line.t - START_S, 6), line.reason)
        for line in run_virtual(main)
        if isinstance(line, GapLine)
    ]


def test_a_gap_is_recorded_when_the_subject_is_seen_again() -> None:
    assert gaps_of([(0.2, "seen"), (0.4, "missed"), (2.0, "seen"), (2.2, "close")]) == [(0.2, 2.0, "refused")]


def test_a_short_silence_is_no_gap() -> None:
    assert gaps_of([(0.2, "seen"), (1.1, "seen"), (2.0, "close")]) == []


def test_the_limit_is_three_periods_where_that_is_longer() -> None:
    assert gaps_of([(0, "seen"), (2.9, "seen")], period_s=1.0) == []
    assert gaps_of([(0, "seen"), (3.0, "seen")], period_s=1.0) == [(0.0, 3.0, "no answer in time")]


def test_a_gap_that_never_ended_is_recorded_at_the_end() -> None:
    assert gaps_of([(0.2, "seen"), (5.0, "close")]) == [(0.2, 5.0, "no answer in time")]


def test_one_that_was_never_seen_is_a_gap_from_the_start() -> None:
    assert gaps_of([(1.5, "close")]) == [(0.0, 1.5, "no answer in time")]


def test_who_is_known_to_be_away_has_no_gap() -> None:
    assert gaps_of([(0.2, "seen"), (0.5, "away"), (30.0, "expect"), (30.5, "seen"), (31, "close")]) == []


def test_silence_before_the_absence_was_known_is_a_gap() -> None:
    assert gaps_of([(0.2, "seen"), (3.2, "away"), (60, "close")]) == [(0.2, 3.2, "no answer in time")]


def test_beats_count_looks_each_second() -> None:
    async def main(clock: VirtualClock) -> list[Observation]:
        lines: list[Observation] = []
        sightings = Sightings("probe", period_s=0.2, clock=clock, record=lines.append)
        sightings.expect("x")
        sightings.expect("silent")
        stop = asyncio.Event()

        async def look() -> None:
            async for instant in ticks(clock, 0.25):
                sightings.seen("x", instant)

        async def end() -> None:
            await clock.sleep_until(START_S + 2.5)
            stop.set()

        await asyncio.gather(until_stopped(stop, sightings.beat(), look()), end())
        return lines

    lines = run_virtual(main)
    beats = [(line.t - START_S, line.seen) for line in lines if isinstance(line, BeatLine)]
    assert [t for t, _ in beats] == [0, 1, 2]
    assert beats[1][1] == {"x": 4, "silent": 0}
    assert [line.subject for line in lines if isinstance(line, GapLine)] == ["silent"]


def test_stop_ends_workers_at_once_and_a_worker_that_raises_ends_all() -> None:
    async def main(clock: VirtualClock) -> float:
        stop = asyncio.Event()
        asyncio.get_running_loop().call_later(3.25, stop.set)
        await until_stopped(stop, asyncio.sleep(9999))
        stopped = clock.now()

        async def broken() -> None:
            raise KeyError("x")

        with pytest.raises(ExceptionGroup):
            await until_stopped(asyncio.Event(), broken(), asyncio.sleep(9999))
        return stopped - START_S

    assert run_virtual(main) == 3.25


def test_wait_until_ends_at_the_instant_or_at_stop() -> None:
    async def main(clock: VirtualClock) -> list[tuple[bool, float]]:
        stop = asyncio.Event()
        asyncio.get_running_loop().call_later(5, stop.set)
        return [(await wait_until(clock, START_S + at, stop), clock.now() - START_S) for at in (3, 2, 9, 1)]

    assert run_virtual(main) == [(False, 3), (False, 3), (True, 5), (True, 5)]
