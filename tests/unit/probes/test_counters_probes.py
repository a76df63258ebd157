"""The calls, cache and replication probes in virtual time."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from probe_fakes import FakeKube, description, pod
from virtual_time import START_S, VirtualClock, run_virtual

from probes.cache import CacheProbe
from probes.calls import CallsProbe
from probes.clients.kube import Answer, KubeReader
from probes.clients.postgres import Standby
from probes.clients.redis_reader import CacheCounters
from probes.clients.unreachable import Unreachable
from probes.pods import PodsProbe
from probes.replication import ReplicationProbe
from steady_state.observations import CacheLine, CallsLine, GapLine, Observation, ReplicationLine

PAGE = b"""calls_total{dependency="redis",outcome="ok"} 10
calls_total{dependency="redis",outcome="error"} 2
calls_total{dependency="sona",outcome="ok"} 3
fallbacks_total{kind="keyword"} 4
"""


def test_one_fetch_a_second_serves_calls_errors_and_fallbacks() -> None:
    async def main(clock: VirtualClock) -> tuple[list[Observation], FakeKube]:
        kube, lines, stop = FakeKube(clock), cast("list[Observation]", []), asyncio.Event()
        kube.put(pod("gateway-1"))
        kube.put(pod("sync-1"))
        kube.pages = lambda name, path: Answer(200, PAGE) if name == "gateway-1" else Answer(404, b"")
        told = description(
            calls=[{"workload": "gateway", "metric": "calls_total"}, {"workload": "sync", "metric": "calls_total"}],
            fallbacks=[{"workload": "gateway", "metric": "fallbacks_total"}],
        )
        pods = PodsProbe(clock=clock, description=told, kube=cast("KubeReader", kube))
        calls = CallsProbe(clock=clock, description=told, kube=cast("KubeReader", kube), view=pods.view)
        asyncio.get_running_loop().call_later(4.5, stop.set)
        await asyncio.gather(pods.run(lines.append, stop), calls.run(lines.append, stop))
        return lines, kube

    lines, kube = run_virtual(main)
    found = [line for line in lines if isinstance(line, CallsLine)]
    assert len(found) == 5
    assert {line.pod for line in found} == {"gateway-1"}
    assert (found[0].calls, found[0].errors, found[0].fallbacks) == ({"redis": 12, "sona": 3}, {"redis": 2}, {"keyword": 4})
    assert kube.fetches.count(("gateway-1", "/metrics")) == 5
    assert [(line.subject, "answered 404" in line.reason) for line in lines if isinstance(line, GapLine)] == [("sync-1", True)]


class Flaky:
    """A reader that fails between two instants."""

    def __init__(self, clock: VirtualClock, value: Any) -> None:
        self._clock = clock
        self._value = value

    async def counters(self) -> Any:
        await asyncio.sleep(0.01)
        if START_S + 3.5 < self._clock.now() < START_S + 9.5:
            raise Unreachable("server", "refused")
        return self._value

    standbys = counters


def sampled(probe_of: Any, value: Any) -> list[Observation]:
    async def main(clock: VirtualClock) -> list[Observation]:
        lines, stop = cast("list[Observation]", []), asyncio.Event()
        asyncio.get_running_loop().call_later(12.25, stop.set)
        await probe_of(clock, Flaky(clock, value)).run(lines.append, stop)
        return lines

    return run_virtual(main)


def test_cache_lines_each_second_and_a_gap_while_it_cannot_be_read() -> None:
    value = CacheCounters(hits=7, misses=3, flushes=1, keys=20, commands=99)
    lines = sampled(lambda clock, reader: CacheProbe(clock=clock, reader=reader), value)
    found = [line for line in lines if isinstance(line, CacheLine)]
    assert [round(line.t - START_S, 2) for line in found] == [0.01, 1.01, 2.01, 3.01, 10.01, 11.01, 12.01]
    assert (found[0].hits, found[0].misses, found[0].flushes, found[0].keys) == (7, 3, 1, 20)
    (gap,) = [line for line in lines if isinstance(line, GapLine)]
    assert (gap.subject, round(gap.from_t - START_S, 2), round(gap.t - START_S, 2), gap.reason) == ("cache", 3.01, 10.01, "server: refused")


def test_replication_lines_twice_a_second() -> None:
    lines = sampled(lambda clock, reader: ReplicationProbe(clock=clock, primary=reader), [Standby("replica-0", "streaming", 12)])
    found = [line for line in lines if isinstance(line, ReplicationLine)]
    assert [round(line.t - START_S, 2) for line in found[:4]] == [0.01, 0.51, 1.01, 1.51]
    assert [(one.name, one.state, one.lag_bytes) for one in found[0].replicas] == [("replica-0", "streaming", 12)]
    (gap,) = [line for line in lines if isinstance(line, GapLine)]
    assert (gap.subject, round(gap.from_t - START_S, 2), round(gap.t - START_S, 2)) == ("primary", 3.01, 9.51)
