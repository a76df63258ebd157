"""A breaker's state from a pod's log, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

import pytest
from probe_fakes import FakeKube, description, pod
from virtual_time import START_S, VirtualClock, run_virtual

from probes.breakers import BreakerReaders, BreakersProbe, Cluster
from probes.clients.kube import KubeReader
from probes.clients.pod_log import LogLine, Places
from probes.pods import PodsProbe
from steady_state.observations import BeatLine, BreakerLine, GapLine, Observation

SOURCE = {
    "kind": "log",
    "name": "pubnub",
    "workload": "sync",
    "pattern": r"breaker pubnub: \w+ -> (?P<state>\w+)",
    "words": {"tripped": "open"},
}
Script = list[tuple[float, Callable[[FakeKube], object]]]


def run(script: Script, *, end_s: float) -> list[Observation]:
    async def main(clock: VirtualClock) -> list[Observation]:
        kube, lines, stop = FakeKube(clock), cast("list[Observation]", []), asyncio.Event()
        kube.put(pod("sync-1"))
        told = description(breakers=[SOURCE])
        pods = PodsProbe(clock=clock, description=told, kube=cast("KubeReader", kube))
        probe = BreakersProbe(clock=clock, description=told, readers=BreakerReaders(Cluster(cast("KubeReader", kube), pods.view)))

        async def play() -> None:
            for offset_s, act in script:
                await clock.sleep_until(START_S + offset_s)
                act(kube)
            await clock.sleep_until(START_S + end_s)
            stop.set()

        await asyncio.gather(pods.run(lines.append, stop), probe.run(lines.append, stop), play())
        return lines

    return run_virtual(main)


def changes(lines: list[Observation]) -> list[tuple[float, str, float | None]]:
    found = [line for line in lines if isinstance(line, BreakerLine)]
    assert {(line.replica, line.source) for line in found} <= {("sync-1", "log")}
    return [
        (round(line.t - START_S, 3), line.state, None if line.previous_t is None else round(line.previous_t - START_S, 3)) for line in found
    ]


def gaps(lines: list[Observation]) -> list[tuple[float, float, str]]:
    found = [line for line in lines if isinstance(line, GapLine) and line.probe == "breakers"]
    return [(round(line.from_t - START_S, 1), round(line.t - START_S, 1), line.reason) for line in found]


def says(state: str) -> Callable[[FakeKube], None]:
    return lambda kube: kube.log("sync-1", "hello", f"breaker pubnub: x -> {state}", "breaker redis: x -> open")


def test_no_line_is_closed_and_a_silent_log_is_no_gap() -> None:
    lines = run([], end_s=10)
    assert changes(lines) == [(0.0, "closed", None)]
    assert gaps(lines) == []
    beats = [line for line in lines if isinstance(line, BeatLine) and line.probe == "breakers"]
    assert all(line.seen["pubnub/sync-1 (log)"] >= 2 for line in beats[1:])


def test_a_line_tells_at_its_arrival_and_the_last_look_bounds_it_from_below() -> None:
    lines = run([(3.05, says("tripped")), (6.1, says("half_open")), (6.1, says("closed"))], end_s=8)
    first, opened, half, closed = changes(lines)
    assert (first[1], opened[:2], half[:2], closed[:2]) == ("closed", (3.05, "open"), (6.1, "half_open"), (6.1, "closed"))
    assert opened[2] is not None
    assert 2.6 < opened[2] < 3.05
    # Two changes between two looks: neither is known to lie after the other's arrival.
    assert half[2] == closed[2]


def test_what_was_there_before_says_the_present_state_not_when_it_began() -> None:
    lines = run([(0.0, lambda kube: kube.logs.clear())], end_s=0.5)
    assert changes(lines) == [(0.0, "closed", None)]

    def back(kube: FakeKube) -> None:
        says("open")(kube)
        kube.put(pod("sync-1"))

    early = run([(2.0, lambda kube: kube.delete("uid-sync-1")), (4.0, back)], end_s=8)
    assert [(state, previous) for _, state, previous in changes(early)] == [("closed", None), ("open", None)]


def test_lines_missed_while_the_server_was_away_are_read_back_once_and_the_gap_is_told() -> None:
    def away(kube: FakeKube) -> None:
        kube.down = True
        kube.streams.pop("sync-1").close()

    def here(kube: FakeKube) -> None:
        kube.down = False

    lines = run([(2.0, says("open")), (3.0, away), (4.0, says("half_open")), (6.0, here)], end_s=9)
    ((_, _, _), (_, _, _), (t, state, previous)) = changes(lines)
    assert state == "half_open"
    assert previous is not None
    assert previous < 3.0 < 6.0 <= t < 6.3
    ((from_s, to_s, reason),) = gaps(lines)
    assert 2.5 < from_s < 3.1
    assert 6.0 <= to_s < 6.4
    assert "refused" in reason


def test_a_stream_that_died_without_a_word_is_opened_again() -> None:
    def deafen(kube: FakeKube) -> None:
        kube.mute = True
        says("open")(kube)
        kube.mute = False

    lines = run([(3.05, deafen)], end_s=6)
    assert [state for _, state, _ in changes(lines)] == ["closed", "open"]
    assert changes(lines)[-1][0] < 4.2


def test_a_restarted_container_begins_closed() -> None:
    lines = run([(2.0, says("open")), (4.1, lambda kube: kube.restart("sync-1"))], end_s=6)
    assert [state for _, state, _ in changes(lines)] == ["closed", "open", "closed"]
    assert changes(lines)[-1][2] < 4.1 <= changes(lines)[-1][0]  # type: ignore[operator]


def test_a_word_that_is_no_state_is_a_gap_until_a_line_tells_again() -> None:
    lines = run([(3.05, says("sleepy")), (7.05, says("open"))], end_s=9)
    assert [state for _, state, _ in changes(lines)] == ["closed", "open"]
    ((from_s, to_s, reason),) = gaps(lines)
    assert (from_s < 3.1, to_s) == (True, 7.0)
    assert "'sleepy'" in reason


@pytest.mark.parametrize(
    ("before", "after"),
    [("00:00:01.5Z", "00:00:01.51Z"), ("00:00:01Z", "00:00:01.1Z"), ("00:00:09.999Z", "00:00:10Z"), ("00:00:01.5Z", "00:00:01.5Z")],
)
def test_places_follow_stamps_whatever_their_length_and_number_those_that_are_equal(before: str, after: str) -> None:
    places = Places()
    assert places.of(LogLine(0, before, "")) < places.of(LogLine(0, after, ""))
