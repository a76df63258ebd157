"""The breakers probe in virtual time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import cast

from probe_fakes import FakeKube, description, pod
from virtual_time import START_S, VirtualClock, run_virtual

from probes.breakers import BreakerReaders, BreakersProbe, Cluster
from probes.clients.kube import Answer, KubeReader
from probes.pods import PodsProbe
from steady_state.observations import BeatLine, BreakerLine, GapLine, Observation

SOURCES = [
    {
        "name": name,
        "workload": "gateway",
        "kind": "health",
        "path": "/health",
        "pointer": f"/checks/{name}/circuit_breaker",
        "transitions_pointer": f"/checks/{name}/transitions",
    }
    for name in ("discovery", "sona")
]


class World:
    """Two gateway pods; the test turns their breakers."""

    def __init__(self, kube: FakeKube) -> None:
        self.kube = kube
        self.states: dict[tuple[str, str], tuple[str | None, int]] = {}
        self.broken: dict[str, Answer] = {}
        kube.pages = self.page

    def page(self, name: str, _path: str) -> Answer:
        if name in self.broken:
            return self.broken[name]
        checks = {}
        for breaker in ("discovery", "sona"):
            state, transitions = self.states.get((name, breaker), (None, 0))
            checks[breaker] = {"circuit_breaker": state, "transitions": transitions}
        return Answer(503, json.dumps({"checks": checks}).encode())


Script = list[tuple[float, Callable[[World], object]]]


def run(script: Script, *, end_s: float) -> tuple[list[Observation], World]:
    async def main(clock: VirtualClock) -> tuple[list[Observation], World]:
        kube, lines, stop = FakeKube(clock), cast("list[Observation]", []), asyncio.Event()
        kube.put(pod("gateway-1"))
        kube.put(pod("gateway-2"))
        world, told = World(kube), description(breakers=SOURCES)
        pods = PodsProbe(clock=clock, description=told, kube=cast("KubeReader", kube))
        readers = BreakerReaders(cluster=Cluster(cast("KubeReader", kube), pods.view))
        breakers = BreakersProbe(clock=clock, description=told, readers=readers)

        async def play() -> None:
            for offset_s, act in script:
                await clock.sleep_until(START_S + offset_s)
                act(world)
            await clock.sleep_until(START_S + end_s)
            stop.set()

        await asyncio.gather(pods.run(lines.append, stop), breakers.run(lines.append, stop), play())
        return lines, world

    return run_virtual(main)


def changes(lines: list[Observation], breaker: str = "discovery") -> list[tuple[float, str, str, float | None, int | None]]:
    return [
        (
            round(line.t - START_S, 3),
            line.replica,
            line.state,
            None if line.previous_t is None else round(line.previous_t - START_S, 3),
            line.transitions,
        )
        for line in lines
        if isinstance(line, BreakerLine) and line.breaker == breaker
    ]


def gaps(lines: list[Observation]) -> list[tuple[str, float, float]]:
    found = [line for line in lines if isinstance(line, GapLine) and line.probe == "breakers"]
    return [(line.subject, round(line.from_t - START_S, 3), round(line.t - START_S, 3)) for line in found]


FIRST = [(0.001, "gateway-1", "closed", None, 0), (0.001, "gateway-2", "closed", None, 0)]


def test_first_sight_and_each_change_with_the_sample_before() -> None:
    lines, world = run([(3.05, lambda world: world.states.update({("gateway-2", "discovery"): ("open", 1)}))], end_s=4.9)
    assert changes(lines) == [*FIRST, (3.201, "gateway-2", "open", 3.0, 1)]
    assert changes(lines, "sona") == FIRST
    assert gaps(lines) == []
    assert world.kube.fetches.count(("gateway-1", "/health")) == 25


def test_a_change_inside_one_sampling_gap_shows_in_the_sources_counter() -> None:
    lines, _ = run([(3.05, lambda world: world.states.update({("gateway-1", "sona"): ("closed", 2)}))], end_s=4)
    assert changes(lines, "sona")[-1] == (3.201, "gateway-1", "closed", 3.0, 2)


def test_a_replica_that_is_away_has_no_gap_and_its_successor_is_seen_at_once() -> None:
    def kill(world: World) -> None:
        world.kube.delete("uid-gateway-1")
        world.kube.put(pod("gateway-3", ready=False))
        world.broken["gateway-3"] = Answer(503, b'{"kind": "Status"}')

    def start(world: World) -> None:
        world.broken.clear()
        world.kube.put(pod("gateway-3", ready=True))

    lines, _ = run([(3.05, kill), (33.05, start)], end_s=40)
    assert gaps(lines) == []
    ((seen_s, replica, state, previous, transitions),) = changes(lines)[2:]
    assert (replica, state, previous, transitions) == ("gateway-3", "closed", None, 0)
    assert 33.05 < seen_s < 33.3
    beats = [line for line in lines if isinstance(line, BeatLine) and line.probe == "breakers" and line.t > START_S + 5]
    assert all("discovery/gateway-1" not in line.seen for line in beats)


def test_a_frozen_replica_is_a_gap_and_does_not_delay_the_other() -> None:
    lines, _ = run(
        [(3.05, lambda world: world.kube.take_s.update({"gateway-1": 60})), (9.05, lambda world: world.kube.take_s.clear())], end_s=12
    )
    assert {subject for subject, _, _ in gaps(lines)} == {"discovery/gateway-1", "sona/gateway-1"}
    assert all(from_s < 3.2 and 9.0 < to_s < 10.2 for _, from_s, to_s in gaps(lines))
    beats = [line for line in lines if isinstance(line, BeatLine) and line.probe == "breakers"]
    assert all(line.seen["discovery/gateway-2"] == 5 for line in beats[1:])


def test_a_frozen_replica_that_turns_not_ready_has_a_gap_until_then() -> None:
    def freeze(world: World) -> None:
        world.kube.take_s["gateway-1"] = 60

    lines, _ = run([(3.05, freeze), (6.05, lambda world: world.kube.put(pod("gateway-1", ready=False)))], end_s=30)
    assert {to_s for _, _, to_s in gaps(lines)} == {6.05}


def test_a_document_that_does_not_say_it_is_a_gap_with_its_reason() -> None:
    lines, _ = run([(3.05, lambda world: world.broken.update({"gateway-1": Answer(502, b"<html>")}))], end_s=6)
    found = [line for line in lines if isinstance(line, GapLine)]
    assert len(found) == 2
    assert all("not JSON" in line.reason for line in found)
    assert all(line.state == "closed" for line in lines if isinstance(line, BreakerLine))


def test_a_replica_that_is_not_ready_is_still_read_while_it_answers() -> None:
    def unready(world: World) -> None:
        world.kube.put(pod("gateway-1", ready=False))
        world.states["gateway-1", "discovery"] = ("open", 1)

    lines, _ = run([(3.05, unready)], end_s=6)
    assert (3.201, "gateway-1", "open", 3.0, 1) in changes(lines)
