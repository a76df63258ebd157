"""The pods probe in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from probe_fakes import FakeKube, description, pod
from virtual_time import START_S, VirtualClock, run_virtual

from probes.clients.kube import KubeReader
from probes.pods import PodsProbe
from steady_state.observations import BeatLine, GapLine, NoteLine, Observation, PodsLine

Script = list[tuple[float, Callable[[FakeKube], None]]]


def run(script: Script, *, end_s: float, kube_before: Callable[[FakeKube], None] = lambda kube: None) -> tuple[list[Observation], FakeKube]:
    """What the probe records while the script plays; two gateway pods are there at the start."""

    async def main(clock: VirtualClock) -> tuple[list[Observation], FakeKube]:
        kube, lines, stop = FakeKube(clock), cast("list[Observation]", []), asyncio.Event()
        kube.put(pod("gateway-1"))
        kube.put(pod("gateway-2"))
        kube_before(kube)
        probe = PodsProbe(clock=clock, description=description(), kube=cast("KubeReader", kube))

        async def play() -> None:
            for offset_s, act in script:
                await clock.sleep_until(START_S + offset_s)
                act(kube)
            await clock.sleep_until(START_S + end_s)
            stop.set()

        await asyncio.gather(probe.run(lines.append, stop), play())
        return lines, kube

    return run_virtual(main)


def gateway(lines: list[Observation]) -> list[tuple[float, list[tuple[str, bool]]]]:
    return [
        (round(line.t - START_S, 3), [(one.name, one.ready) for one in line.pods])
        for line in lines
        if isinstance(line, PodsLine) and line.workload == "gateway"
    ]


BOTH = [("gateway-1", True), ("gateway-2", True)]


def test_first_sight_and_each_change_at_its_arrival() -> None:
    lines, _ = run(
        [(2.34, lambda kube: kube.delete("uid-gateway-1")), (3.5, lambda kube: kube.put(pod("gateway-3", ready=False)))], end_s=4
    )
    assert gateway(lines) == [
        (0.0, BOTH),
        (2.34, [("gateway-2", True)]),
        (3.5, [("gateway-2", True), ("gateway-3", False)]),
    ]
    empty = [line for line in lines if isinstance(line, PodsLine) and line.workload == "sync"]
    assert [line.pods for line in empty] == [[]]


def test_an_hour_without_changes_has_beats_each_second_and_nothing_else() -> None:
    lines, kube = run([], end_s=3600)
    beats = [line for line in lines if isinstance(line, BeatLine)]
    assert len(beats) == 3601
    assert all(line.seen["gateway"] >= 1 for line in beats[1:])
    assert not [line for line in lines if isinstance(line, GapLine | NoteLine)]
    assert len(kube.watches) == 1


def test_an_api_server_that_is_away_is_a_gap_of_every_workload() -> None:
    def down(kube: FakeKube) -> None:
        kube.down = True
        kube.watches[-1].close()

    lines, _ = run([(10.5, down), (15.5, lambda kube: setattr(kube, "down", False))], end_s=20)
    gaps = {(line.subject, round(line.from_t - START_S, 3), round(line.t - START_S, 3)) for line in lines if isinstance(line, GapLine)}
    assert gaps == {("gateway", 10.0, 16.0), ("sync", 10.0, 16.0)}
    assert {line.reason for line in lines if isinstance(line, GapLine)} <= {"pods: refused", "watch: refused"}


def test_a_list_finds_what_a_dead_watch_does_not_tell() -> None:
    def die(kube: FakeKube) -> None:
        kube.deaf = True
        kube.delete("uid-gateway-1")

    lines, kube = run([(2.2, die), (5.5, lambda kube: setattr(kube, "deaf", False))], end_s=8)
    assert gateway(lines) == [(0.0, BOTH), (3.0, [("gateway-2", True)])]
    assert len([line for line in lines if isinstance(line, NoteLine)]) == 1
    assert kube.watches[0].closed
    assert kube.watched_from == [3, 4]


def test_a_server_that_ends_the_watch_is_normal() -> None:
    lines, kube = run(
        [(2.2, lambda kube: kube.watches[-1].close()), (3.7, lambda kube: kube.put(pod("gateway-1", ready=False)))],
        end_s=6,
    )
    assert gateway(lines)[-1] == (3.7, [("gateway-1", False), ("gateway-2", True)])
    assert not [line for line in lines if isinstance(line, GapLine | NoteLine)]
    assert len(kube.watches) == 2


def test_an_expired_version_is_listed_again() -> None:
    lines, kube = run(
        [(2.5, lambda kube: kube.put(pod("gateway-1", ready=False)))], end_s=4, kube_before=lambda kube: setattr(kube, "expired", True)
    )
    assert gateway(lines)[-1] == (2.5, [("gateway-1", False), ("gateway-2", True)])
    assert len(kube.watches) == 2


def test_a_workload_that_cannot_be_read_is_a_gap_and_never_an_empty_line() -> None:
    lines, _ = run([(3.5, lambda kube: setattr(kube, "down", False))], end_s=6, kube_before=lambda kube: setattr(kube, "down", True))
    assert gateway(lines) == [(4.0, BOTH)]
    assert {(line.subject, round(line.t - START_S, 3)) for line in lines if isinstance(line, GapLine)} == {("gateway", 4.0), ("sync", 4.0)}


def test_a_workload_that_is_read_late_is_shown_then_and_says_nothing_about_the_watch() -> None:
    lines, kube = run([(5.5, lambda kube: kube.unreadable.clear())], end_s=9, kube_before=lambda kube: kube.unreadable.add("gateway"))
    assert gateway(lines) == [(6.0, BOTH)]
    assert [(line.subject, line.reason) for line in lines if isinstance(line, GapLine)] == [("gateway", "gateway: refused")]
    assert not [line for line in lines if isinstance(line, NoteLine)]
    assert len(kube.watches) == 1
