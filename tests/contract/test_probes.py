"""The probes that read Kubernetes, on a process-backed cluster: real API, real pods, real pod proxy."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import SystemRandom
from typing import TypeVar

import pytest
from probes_cluster import NAMESPACE, Relay, cluster, kubeconfig_through

from probes.breakers import BreakerReaders, BreakersProbe, Cluster
from probes.calls import CallsProbe
from probes.clients.kube import KubeReader
from probes.clients.unreachable import Unreachable
from probes.clock import SystemClock
from probes.pods import PodsProbe
from probes.sampler import Probe
from probes.target import Kubernetes, TargetDescription
from sandbox.ports import free_port
from steady_state.observations import BeatLine, BreakerLine, CallsLine, GapLine, NoteLine, Observation, PodsLine

Kind = TypeVar("Kind")
DEADLINE_S = 10.0
CLOCK = SystemClock()


@dataclass(frozen=True)
class Platform:
    """The running cluster: how to reach it, and the processes behind its pods."""

    kubernetes: Kubernetes
    api_url: str
    pids: dict[str, int]

    def description(self, kubernetes: Kubernetes | None = None) -> TargetDescription:
        breaker = {"workload": "gateway", "path": "/health"}
        health = {"kind": "health", "pointer": "/checks/sync/circuit_breaker", "transitions_pointer": "/checks/sync/transitions"}
        metric = {"kind": "metric", "path": "/metrics", "metric": "circuit_breaker_state", "labels": {"name": "sync"}}
        log = {"name": "sync", "workload": "gateway", "kind": "log", "pattern": '"breaker": "sync".*"to": "(?P<state>[a-z_]+)"'}
        counters = [{"workload": app, "metric": "calls_total"} for app in ("gateway", "sync")]
        return TargetDescription.model_validate(
            {
                "name": "test",
                "kubernetes": (kubernetes or self.kubernetes).model_dump(),
                "gateway_url": "http://nowhere",
                "users": {"count": 1, "id_format": "u{number}", "login_path": "/", "password_env": "P"},
                "content_id_format": "c{number}",
                "content_count": 1,
                "routes": {},
                "roles": {},
                "workloads": {"gateway": "deployments", "sync": "deployments"},
                "breakers": [breaker | health | {"name": "by-health"}, breaker | metric | {"name": "by-metric"}, log],
                "calls": counters,
                "fallbacks": [{"workload": "sync", "metric": "fallbacks_total"}],
            }
        )


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    prefix = f"127.{SystemRandom().randrange(100, 250)}"
    ports = {"gateway": free_port(), "sync": free_port()}
    with cluster(tmp_path_factory.mktemp("cluster"), prefix, ports) as facts:
        kubernetes = Kubernetes(kubeconfig=facts["kubeconfig"], context="sandbox", namespace=NAMESPACE)
        yield Platform(kubernetes, facts["api_url"], facts["pids"])


@pytest.fixture
def kube(platform: Platform) -> Iterator[KubeReader]:
    reader = KubeReader(platform.kubernetes, CLOCK)
    yield reader
    reader.close()


@asynccontextmanager
async def relayed(platform: Platform, directory: Path) -> AsyncIterator[tuple[Relay, Kubernetes]]:
    relay = Relay(platform.api_url)
    kubeconfig = kubeconfig_through(await relay.start(), platform.kubernetes.kubeconfig, directory / "kubeconfig")
    try:
        yield relay, platform.kubernetes.model_copy(update={"kubeconfig": kubeconfig})
    finally:
        await relay.stop()


@dataclass
class Recorded:
    """What the probes under test have recorded so far."""

    lines: list[Observation] = field(default_factory=list)

    def of(self, kind: type[Kind]) -> list[Kind]:
        return [line for line in self.lines if isinstance(line, kind)]

    async def until(self, condition: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < deadline, f"{what}: not within {DEADLINE_S:g} s; last lines {self.lines[-5:]}"
            await asyncio.sleep(0.01)


@asynccontextmanager
async def running(*probes: Probe) -> AsyncIterator[Recorded]:
    recorded, stop = Recorded(), asyncio.Event()
    tasks = [asyncio.create_task(probe.run(recorded.lines.append, stop)) for probe in probes]
    try:
        yield recorded
    finally:
        began = time.monotonic()
        stop.set()
        await asyncio.gather(*tasks)
        assert time.monotonic() - began < 2, "stop is not prompt"


# The client


async def test_reads_of_the_api(kube: KubeReader) -> None:
    workload = await kube.workload("deployments", "gateway")
    assert (workload.name, workload.replicas, workload.ready_replicas, workload.selector.query()) == ("gateway", 2, 2, "app=gateway")
    listed = await kube.pods(label_selector=workload.selector.query())
    assert len(listed.pods) == 2
    for pod in listed.pods:
        assert pod.ready
        assert workload.selector.matches(pod.labels)
        assert (pod.restarts, pod.deletion) == (0, "")
        answer = await kube.pod_get(pod.name, pod.port("http"), "/health")
        assert answer.status == 200
        assert b"checks" in answer.body


async def test_refusals_are_unreachable_with_their_status(kube: KubeReader, platform: Platform) -> None:
    with pytest.raises(Unreachable) as caught:
        await kube.workload("deployments", "nobody")
    assert caught.value.status == 404
    assert (await kube.pod_get("nobody", 80, "/health")).status == 404
    with pytest.raises(Unreachable, match="nowhere"):
        KubeReader(platform.kubernetes.model_copy(update={"context": "nowhere"}), CLOCK)
    with pytest.raises(Unreachable, match="/no/kubeconfig"):
        KubeReader(platform.kubernetes.model_copy(update={"kubeconfig": Path("/no/kubeconfig")}), CLOCK)


async def test_a_watch_closes_at_once(kube: KubeReader) -> None:
    listed = await kube.pods()
    async with kube.watch_pods(listed.version) as watch:
        asyncio.get_running_loop().call_later(0.3, watch.close)
        began = time.monotonic()
        assert [event async for event in watch if event.pod] == []
        assert time.monotonic() - began < 1


async def test_time_outs_on_every_call(platform: Platform, tmp_path: Path) -> None:
    async with relayed(platform, tmp_path) as (relay, kubernetes):
        kube = KubeReader(kubernetes, CLOCK)
        await kube.pods()
        relay.freeze()
        began = time.monotonic()
        outcomes = await asyncio.gather(kube.pods(), kube.workload("deployments", "sync"), return_exceptions=True)
        assert all(isinstance(outcome, Unreachable) for outcome in outcomes)
        assert time.monotonic() - began < 3
        relay.thaw()
        relay.cut()
        await kube.pods()
        kube.close()


# The probes


async def test_a_killed_pod_and_its_breakers(platform: Platform, kube: KubeReader) -> None:
    told = platform.description()
    pods = PodsProbe(clock=CLOCK, description=told, kube=kube)
    breakers = BreakersProbe(clock=CLOCK, description=told, readers=BreakerReaders(Cluster(kube, pods.view)))
    calls = CallsProbe(clock=CLOCK, description=told, kube=kube, view=pods.view)
    async with running(pods, breakers, calls) as recorded:
        await recorded.until(lambda: len(recorded.of(BreakerLine)) >= 6 and len(recorded.of(CallsLine)) >= 4, "first sight")
        seen = {(line.breaker, line.source, line.state) for line in recorded.of(BreakerLine)}
        assert seen == {("by-health", "health", "closed"), ("by-metric", "metric", "closed"), ("sync", "log", "closed")}
        line = next(line for line in recorded.of(CallsLine) if line.pod.startswith("sync"))
        assert (line.calls["redis"] > 1, line.errors, line.fallbacks) == (True, {"redis": 1}, {"keyword": 4})

        first, second = (pod.name for pod in pods.view.pods("gateway"))
        turned_at = CLOCK.now()
        await kube.pod_get(first, pods.view.pods("gateway")[0].port("http"), "/turn/open")

        def opened() -> list[BreakerLine]:
            return [line for line in recorded.of(BreakerLine) if line.replica == first and line.state == "open"]

        await recorded.until(lambda: len(opened()) == 3, "all sources show the breaker open")
        assert all(line.previous_t is not None and line.previous_t - 0.05 < line.t and line.t - turned_at < 0.6 for line in opened())
        assert {line.transitions for line in opened()} == {1, None}

        known = {pod.name for pod in pods.view.pods("gateway")}
        killed_at = CLOCK.now()
        os.kill(platform.pids[f"{NAMESPACE}/{second}/main"], signal.SIGKILL)

        def gateway() -> list[PodsLine]:
            return [line for line in recorded.of(PodsLine) if line.workload == "gateway" and line.t > killed_at]

        await recorded.until(lambda: any(sum(pod.ready for pod in line.pods) < 2 for line in gateway()), "the loss shows")
        assert gateway()[0].t - killed_at < 1.0
        await recorded.until(lambda: sum(pod.ready for pod in gateway()[-1].pods) == 2, "the platform is whole again")
        assert {pod.name for pod in gateway()[-1].pods} == known
        assert max(pod.restarts for pod in gateway()[-1].pods) == 1
        whole_at = CLOCK.now()
        await recorded.until(lambda: CLOCK.now() > whole_at + 1.2, "a beat later")
    assert recorded.of(GapLine) == []
    beats = [line for line in recorded.of(BeatLine) if line.probe == "breakers"]
    subjects = ("by-health/{}", "by-metric/{} (metric)", "sync/{} (log)")
    assert beats[-1].seen.keys() == {subject.format(name) for subject in subjects for name in known}


async def test_an_api_server_that_hangs_is_a_gap_and_a_watch_that_was_cut_comes_back(platform: Platform, tmp_path: Path) -> None:
    async with relayed(platform, tmp_path) as (relay, kubernetes):
        kube = KubeReader(kubernetes, CLOCK)
        pods = PodsProbe(clock=CLOCK, description=platform.description(kubernetes), kube=kube)
        async with running(pods) as recorded:
            await recorded.until(lambda: len(recorded.of(PodsLine)) == 2, "first sight")
            relay.cut()
            cut_at = CLOCK.now()
            await recorded.until(lambda: any(line.t > cut_at + 1.2 for line in recorded.of(BeatLine)), "it lives on")
            assert recorded.of(GapLine) == []
            relay.freeze()
            await asyncio.sleep(0.5)
            frozen_at = CLOCK.now()
            await recorded.until(lambda: CLOCK.now() > frozen_at + 3.2, "the time of a long gap")
            relay.thaw()
            relay.cut()
            await recorded.until(lambda: len(recorded.of(GapLine)) == 2, "gaps")
            assert {line.subject for line in recorded.of(GapLine)} == {"gateway", "sync"}
            assert len(recorded.of(PodsLine)) == 2
        assert recorded.of(NoteLine) == []
        kube.close()


async def test_a_log_is_followed_through_a_frozen_server_and_a_restarted_container(
    platform: Platform, kube: KubeReader, tmp_path: Path
) -> None:
    async with relayed(platform, tmp_path) as (relay, kubernetes):
        slow = KubeReader(kubernetes, CLOCK)
        told = platform.description(kubernetes)
        told = told.model_copy(update={"breakers": [source for source in told.breakers if source.kind == "log"]})
        pods = PodsProbe(clock=CLOCK, description=told, kube=kube)
        breakers = BreakersProbe(clock=CLOCK, description=told, readers=BreakerReaders(Cluster(slow, pods.view)))
        async with running(pods, breakers) as recorded:
            await recorded.until(lambda: len(recorded.of(BreakerLine)) == 2, "first sight")
            assert [line.previous_t for line in recorded.of(BreakerLine)] == [None, None]
            pod = pods.view.pods("gateway")[0]

            def last() -> BreakerLine:
                return [line for line in recorded.of(BreakerLine) if line.replica == pod.name][-1]

            async def turn(state: str) -> None:
                await kube.pod_get(pod.name, pod.port("http"), f"/turn/{state}")

            await turn("open" if last().state == "closed" else "closed")
            await recorded.until(lambda: last().previous_t is not None, "the line arrives")
            before = last()
            relay.freeze()
            await asyncio.sleep(1.5)
            turned_at = CLOCK.now()
            await turn("half_open")
            await asyncio.sleep(0.3)
            relay.thaw()
            relay.cut()
            await recorded.until(lambda: last().state == "half_open", "what was missed is read back")
            assert before.previous_t <= last().previous_t < turned_at < last().t
            await recorded.until(lambda: len(recorded.of(GapLine)) == 2, "the stream was away")
            assert {gap.subject for gap in recorded.of(GapLine)} == {f"sync/{one.name} (log)" for one in pods.view.pods("gateway")}
            killed_at = CLOCK.now()
            os.kill(int((await kube.pod_get(pod.name, pod.port("http"), "/pid")).body), signal.SIGKILL)
            await recorded.until(lambda: last().state == "closed", "a new container begins closed")
            assert last().t > killed_at > last().previous_t
        slow.close()


async def test_a_stream_of_log_lines_ends_at_once_when_it_is_closed(kube: KubeReader) -> None:
    (pod, *_) = (await kube.pods(label_selector="app=sync")).pods
    await kube.pod_get(pod.name, pod.port("http"), "/turn/open")
    lines = await kube.pod_log(pod.name)
    assert '"to": "open"' in lines[-1].text
    assert [line.text for line in await kube.pod_log(pod.name, since=lines[-1].stamped)] == [lines[-1].text]
    async with kube.follow_log(pod.name, since=lines[-1].stamped) as stream:
        asyncio.get_running_loop().call_later(0.3, stream.close)
        began = time.monotonic()
        assert [line.text async for line in stream] == [lines[-1].text]
        assert time.monotonic() - began < 1
    with pytest.raises(Unreachable) as caught:
        await kube.pod_log("nobody")
    assert caught.value.status == 404
