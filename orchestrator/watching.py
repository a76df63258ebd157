"""All samplers of a run: built from the target description, run side by side, stopped together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from orchestrator.load.order import KnownUser
from probes.breakers import BreakerReaders, BreakersProbe, Cluster
from probes.cache import CacheProbe
from probes.calls import CallsProbe
from probes.clients.http import HttpClient
from probes.clients.kube import KubeReader
from probes.clients.postgres import PostgresReader
from probes.clients.redis_reader import RedisReader
from probes.clock import Clock
from probes.delivery import DeliveryProbe, DeliverySettings, device_b
from probes.host import HostProbe
from probes.pods import PodsProbe
from probes.replication import ReplicationProbe
from probes.sampler import Probe
from probes.target import CopySource, PageSource, RedisRole, ReplicaRole, TargetDescription
from steady_state.observations import NoteLine, Observation

STOP_WITHIN_S = 5.0
OF_THE_TARGET = frozenset({PodsProbe.name, BreakersProbe.name, CallsProbe.name, CacheProbe.name, ReplicationProbe.name, DeliveryProbe.name})
"""Samplers that exist where the target description gives them something to look at."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What the samplers look at and with what: the platform, the clock, and the users of the test devices."""

    description: TargetDescription
    clock: Clock
    run_id: str
    devices: Sequence[KnownUser]


class Watching:
    """The samplers of one run. `lost` is the first that died, with its error."""

    def __init__(self, scene: Scene) -> None:
        self._stop = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._clients = AsyncExitStack()
        self._probes: list[Probe] = [HostProbe(clock=scene.clock)]
        self._probes += _inside(scene, self._clients) + _stores(scene, self._clients) + _devices(scene, self._clients)
        self._absent = sorted(OF_THE_TARGET - {probe.name for probe in self._probes})
        self._now = scene.clock.now

    def start(self, record: Callable[[Observation], None]) -> None:
        if self._absent:
            text = f"not looked at, the target description declares none: {', '.join(self._absent)}"
            record(NoteLine(t=self._now(), text=text, data={"absent_samplers": list(self._absent)}))
        self._tasks = [asyncio.create_task(probe.run(record, self._stop), name=probe.name) for probe in self._probes]

    @property
    def lost(self) -> str:
        """The first sampler that ended although it should not, in words; empty while all work."""
        for task in self._tasks:
            if task.done() and not self._stop.is_set():
                error = None if task.cancelled() else task.exception()
                return f"sampler {task.get_name()} died: {type(error).__name__}: {error}" if error else f"sampler {task.get_name()} ended"
        return ""

    async def stop(self, *, drain_s: float = STOP_WITHIN_S) -> None:
        """End all samplers; those that do not end in time are cancelled."""
        self._stop.set()
        if self._tasks:
            _done, late = await asyncio.wait(self._tasks, timeout=drain_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._clients.aclose()


def _inside(scene: Scene, clients: AsyncExitStack) -> list[Probe]:
    """What is read through the API server, where there is one: pods, counters; and the breakers, wherever they are read."""
    description, clock = scene.description, scene.clock
    if description.kubernetes is None:
        return _breakers(scene, clients, None)
    kube = KubeReader(description.kubernetes, clock)
    clients.callback(kube.close)
    pods = PodsProbe(clock=clock, description=description, kube=kube)
    calls = CallsProbe(clock=clock, description=description, kube=kube, view=pods.view)
    return [pods, calls, *_breakers(scene, clients, Cluster(kube, pods.view))]


def _breakers(scene: Scene, clients: AsyncExitStack, cluster: Cluster | None) -> list[Probe]:
    sources = scene.description.breakers
    if not sources:
        return []
    pages = {source.url: HttpClient(source.url) for source in sources if isinstance(source, PageSource) and source.url}
    stores = {source.url: RedisReader(source.url) for source in sources if isinstance(source, CopySource)}
    closers = [client.close for client in pages.values()] + [store.close for store in stores.values()]
    for close in closers:
        clients.push_async_callback(close)
    return [BreakersProbe(clock=scene.clock, description=scene.description, readers=BreakerReaders(cluster, pages, stores))]


def _stores(scene: Scene, clients: AsyncExitStack) -> list[Probe]:
    """The cache and the replication of the roles that have one."""
    probes: list[Probe] = []
    for name, role in scene.description.roles.items():
        if isinstance(role, RedisRole):
            reader = RedisReader(role.url)
            clients.push_async_callback(reader.close)
            probes.append(CacheProbe(clock=scene.clock, reader=reader))
        elif isinstance(role, ReplicaRole):
            primary = PostgresReader(role.primary_dsn, what=f"primary of {name}")
            clients.callback(primary.close)
            probes.append(ReplicationProbe(clock=scene.clock, primary=primary))
    return probes


def _devices(scene: Scene, clients: AsyncExitStack) -> list[Probe]:
    """Two test devices per user, where the platform has a sync service."""
    if scene.description.delivery is None or not scene.devices:
        return []
    tokens = {user.user_id: user.token for user in scene.devices}
    users = list(tokens)
    settings = DeliverySettings(run_id=scene.run_id, users=users, token=tokens.__getitem__)
    gateway = HttpClient(scene.description.gateway_url)
    ears = device_b(scene.description, users, scene.run_id)
    clients.push_async_callback(gateway.close)
    clients.push_async_callback(ears.close)
    return [DeliveryProbe(clock=scene.clock, description=scene.description, settings=settings, gateway=gateway, device_b=ears)]
