"""What a run must reach besides what its faults look at themselves: each place is asked once, and nothing is changed there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from orchestrator.plan import Plan
from probes.clients.http import HttpClient
from probes.clients.kube import KubeReader
from probes.clients.postgres import PostgresReader
from probes.clients.redis_reader import RedisReader
from probes.clients.unreachable import Unreachable
from probes.clock import Clock
from probes.target import CopySource, PageSource, RedisRole, ReplicaRole, TargetDescription

WITHIN_S = 3.0
OK = 200

Look = tuple[str, Awaitable[object]]
"""What is asked, in words, and the asking, which raises Unreachable."""


@dataclass(slots=True)
class Reach:
    """What answered, and a sentence for each place that did not."""

    reached: list[str] = field(default_factory=list)
    away: list[str] = field(default_factory=list)


async def reach(plan: Plan, description: TargetDescription, clock: Clock) -> Reach:
    """Ask every place, all at once. Never raises: what is away is what was asked for."""
    found = Reach()
    await asyncio.gather(*(_asked(found, what, look) for what, look in _looks(plan, description, clock)))
    return found


async def _asked(found: Reach, what: str, look: Awaitable[object]) -> None:
    try:
        await look
        found.reached.append(what)
    except Unreachable as error:
        found.away.append(f"{what} cannot be reached: {error}")


def _looks(plan: Plan, description: TargetDescription, clock: Clock) -> Iterator[Look]:
    """The way of the users and of the test devices, every place that a sampler reads, and the databases of the plan's roles."""
    yield "the gateway", _answers(description.gateway_url, "/")
    if description.delivery is not None:
        yield "the origin of the test devices", _answers(description.delivery.origin, "/time/0")
    yield from _stores(description)
    yield from _breakers(description)
    for page, must_be_ok in _pages(description).items():
        yield f"{page[2]} of {page[0]}", _tell(description, clock, page, must_be_ok=must_be_ok)
    for name in dict.fromkeys(fault.settings.role for fault in plan.faults):
        role = description.roles[name]
        if isinstance(role, ReplicaRole):
            for pod, dsn in role.replica_dsns.items():
                yield pod, _serves(dsn, pod)


def _stores(description: TargetDescription) -> Iterator[Look]:
    for name, role in description.roles.items():
        if isinstance(role, RedisRole):
            yield name, _counts(role.url)
        elif isinstance(role, ReplicaRole):
            yield f"the primary of {name}", _serves(role.primary_dsn, "the primary")


def _breakers(description: TargetDescription) -> Iterator[Look]:
    """Breakers that are read at an address, not in a pod."""
    urls = {source.url: source.name for source in description.breakers if isinstance(source, PageSource) and source.url}
    for url, name in urls.items():
        yield f"the page of {name}", _answers(url, "")
    copies = {source.url: source.key for source in description.breakers if isinstance(source, CopySource)}
    for url, key in copies.items():
        yield "the store of copied breakers", _holds(url, key)


def _pages(description: TargetDescription) -> dict[tuple[str, str, str], bool]:
    """Workload, port and path of every page that is read in pods, each once; whether it must be answered with 200 to be read."""
    breakers = [source for source in description.breakers if isinstance(source, PageSource) and source.workload]
    pages = {(one.workload, one.port, one.path): False for one in breakers}
    return pages | {(one.workload, one.port, one.path): True for one in (*description.calls, *description.fallbacks)}


async def _tell(description: TargetDescription, clock: Clock, page: tuple[str, str, str], *, must_be_ok: bool) -> None:
    """Every ready pod of the workload has the page."""
    workload, port, path = page
    async with _reader(description, clock) as kube:
        resource = description.workloads.get(workload)
        if resource is None:
            raise Unreachable(f"workload {workload}", "it is not among `workloads` of the target description")
        selector = (await kube.workload(resource, workload)).selector
        pods = [pod for pod in (await kube.pods(label_selector=selector.query())).pods if pod.ready]
        if not pods:
            raise Unreachable(f"workload {workload}", "none of its pods is ready")
        for pod in pods:
            answer = await kube.pod_get(pod.name, pod.port(port), path, timeout_s=WITHIN_S)
            if must_be_ok and answer.status != OK:
                raise Unreachable(f"pod {pod.name}", f"it answers {answer.status}", status=answer.status)


@asynccontextmanager
async def _reader(description: TargetDescription, clock: Clock) -> AsyncIterator[KubeReader]:
    kube = KubeReader(description.cluster, clock)
    try:
        yield kube
    finally:
        kube.close()


async def _answers(url: str, path: str) -> None:
    client = HttpClient(url, timeout_s=WITHIN_S)
    try:
        await client.request("GET", path)
    finally:
        await client.close()


async def _serves(dsn: str, what: str) -> None:
    reader = PostgresReader(dsn, what=what, timeout_s=WITHIN_S)
    try:
        await reader.transactions()
    finally:
        reader.close()


async def _counts(url: str) -> None:
    reader = RedisReader(url, timeout_s=WITHIN_S)
    try:
        await reader.counters()
    finally:
        await reader.close()


async def _holds(url: str, key: str) -> None:
    reader = RedisReader(url, timeout_s=WITHIN_S)
    try:
        await reader.get(key)
    finally:
        await reader.close()
