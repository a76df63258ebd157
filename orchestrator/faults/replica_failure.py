"""`replica_failure`: a PostgreSQL read replica is away, or hangs. Held."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from typing import Literal

from pydantic import Field, JsonValue

from orchestrator.errors import HealFailed, NothingToHitError, TargetError
from orchestrator.faults.base import BlastRadius, Exposure, Proof, Receipt, Surroundings
from orchestrator.faults.base import Settings as BaseSettings
from orchestrator.faults.counters import pods_of
from orchestrator.faults.link import clean, clean_proxy, proxy_of
from orchestrator.interposing.passage import Mark, Passage
from orchestrator.targets.kube import KubeWriter
from orchestrator.targets.toxiproxy import Toxiproxy
from probes.clients.kube import KubeReader
from probes.clients.pods import Pod
from probes.clients.postgres import PostgresReader
from probes.clients.unreachable import Unreachable
from probes.target import ReplicaRole

HEAL_DEADLINE_S = 6.0
LOOK_S = 0.1


class Settings(BaseSettings):
    """`gone`: the StatefulSet is scaled down by one and that pod deleted at grace 0. `freeze`: its link swallows all bytes."""

    hold_s: float = Field(gt=0)
    mode: Literal["gone", "freeze"] = "gone"


class ReplicaFailure:
    """The replica with the highest ordinal, since that is the one a StatefulSet gives up first."""

    def __init__(self, surroundings: Surroundings, settings: Settings) -> None:
        assert isinstance(surroundings.role, ReplicaRole)
        self._around = surroundings
        self._role = surroundings.role
        self._settings = settings
        self._kube = KubeReader(surroundings.description.cluster, surroundings.clock, threads=4)
        self._writer = KubeWriter(surroundings.description.cluster)
        self._toxiproxy = Toxiproxy(self._role.toxiproxy_url)
        name = f"chaos-{surroundings.run_id}-{surroundings.fault}"
        self._toxics = {"upstream": f"{name}-up", "downstream": f"{name}-down"}

    async def preview(self) -> BlastRadius:
        pods = await self._pods()
        return BlastRadius(f"ready pods of {self._role.statefulset}", min(1, len(pods)), len(pods), capped=True)

    async def prepare(self, rng: Random) -> Receipt:
        pods = await self._pods()
        if len(pods) < 2:
            raise NothingToHitError(f"{self._role.statefulset} has {len(pods)} ready pods; taking one needs another to be left")
        pod = max(pods, key=lambda one: _ordinal(one.name))
        if pod.name not in self._role.replica_dsns:
            raise TargetError(f"the target description has no replica_dsns entry for {pod.name}")
        workload = await self._replicas()
        if self._settings.mode == "gone" and _ordinal(pod.name) != workload - 1:
            raise TargetError(f"{self._role.statefulset} asks for {workload} replicas, but the newest ready one is {pod.name}")
        return Receipt(
            fault=self._around.fault,
            kind="replica_failure",
            run_id=self._around.run_id,
            settings=self._settings.model_dump(mode="json"),
            target=f"replica {pod.name}",
            data={
                "pod": pod.name,
                "uid": pod.uid,
                "replicas": workload,
                "counted": await self._transactions(pod.name),
                **await self._link_as_it_is(pod.name),
            },
        )

    async def exposure(self, receipt: Receipt) -> Exposure:
        before, pod = receipt.data["counted"], str(receipt.data["pod"])
        assert isinstance(before, int)
        now = await self._transactions(pod)
        # Each of our two looks is one transaction of its own.
        calls = Exposure(max(0, now - before - 1), f"pg_stat_database of {pod}")
        if "mark" not in receipt.data:
            return calls
        mark, interpose = Mark.model_validate(receipt.data["mark"]), self._role.interpose[pod]
        passage = Passage(interpose, self._role.proxies[pod], self._toxiproxy, self._kube)
        return await passage.exposure(calls, mark, self._around.clock.now())

    async def inject(self, receipt: Receipt) -> None:
        if self._settings.mode == "freeze":
            for stream, toxic in self._toxics.items():
                await self._toxiproxy.add_toxic(self._proxy(receipt), toxic, kind="timeout", stream=stream, attributes={"timeout": 0})
            return
        replicas = receipt.data["replicas"]
        assert isinstance(replicas, int)
        await self._writer.scale("statefulsets", self._role.statefulset, replicas - 1)
        await self._writer.delete_pod(str(receipt.data["pod"]), uid=str(receipt.data["uid"]), grace_s=0)

    async def prove(self, receipt: Receipt) -> Proof:
        name = str(receipt.data["pod"])
        dsn = self._link_dsn(receipt) if self._settings.mode == "freeze" else self._role.replica_dsns[name]
        reader = PostgresReader(dsn, what=name)
        try:
            await reader.transactions()
        except Unreachable as error:
            return Proof("felt", f"{name} cannot be connected to ({error.why})")
        finally:
            reader.close()
        return Proof("acknowledged", f"{name} still answers")

    async def heal(self, receipt: Receipt) -> None:
        if self._settings.mode == "freeze":
            await clean(self._toxiproxy, proxy_of(self._proxy(receipt), receipt), toxics=list(self._toxics.values()))
            return
        replicas = receipt.data["replicas"]
        assert isinstance(replicas, int)
        try:
            async with asyncio.timeout(HEAL_DEADLINE_S):
                await self._restore(replicas, self._writer.scale)
            return
        except (TargetError, TimeoutError):
            pass
        try:
            async with asyncio.timeout(HEAL_DEADLINE_S):
                await self._restore(replicas, self._writer.set_replicas)
        except (TargetError, TimeoutError) as error:
            name, namespace = self._role.statefulset, self._around.description.cluster.namespace
            remedy = f"kubectl -n {namespace} scale statefulset {name} --replicas={replicas}"
            raise HealFailed(f"{receipt.target} could not be restored ({str(error) or 'time-out'})", remedy) from error

    async def close(self) -> None:
        self._kube.close()
        self._writer.close()
        await self._toxiproxy.close()

    async def _restore(self, replicas: int, write: Callable[[str, str, int], Awaitable[None]]) -> None:
        """Write the count until it is read back. Raises TargetError."""
        await write("statefulsets", self._role.statefulset, replicas)
        while await self._replicas() < replicas:
            await self._around.clock.sleep_until(self._around.clock.now() + LOOK_S)
            await write("statefulsets", self._role.statefulset, replicas)

    async def _link_as_it_is(self, pod: str) -> dict[str, JsonValue]:
        """Where the replica's proxy stands between: what a heal needs to make it anew."""
        if self._settings.mode == "gone":
            return {}
        if pod not in self._role.proxies:
            raise TargetError(f"the target description has no proxies entry for {pod}")
        proxy = await clean_proxy(self._toxiproxy, self._role.proxies[pod])
        found: dict[str, JsonValue] = {"listen": proxy.listen, "upstream": proxy.upstream}
        return found | ({"mark": Mark(t=self._around.clock.now()).model_dump()} if pod in self._role.interpose else {})

    def _proxy(self, receipt: Receipt) -> str:
        return self._role.proxies[str(receipt.data["pod"])]

    def _link_dsn(self, receipt: Receipt) -> str:
        """The replica's DSN through its proxy: there the freeze is felt."""
        pod = str(receipt.data["pod"])
        if pod in self._role.link_dsns:
            return self._role.link_dsns[pod]
        listen = receipt.data["listen"]
        before, _, after = self._role.replica_dsns[pod].partition("@")
        return f"{before}@{listen}/{after.partition('/')[2]}"

    async def _pods(self) -> list[Pod]:
        return [pod for pod in await pods_of(self._kube, "statefulsets", self._role.statefulset) if pod.ready]

    async def _replicas(self) -> int:
        try:
            return (await self._kube.workload("statefulsets", self._role.statefulset)).replicas
        except Unreachable as error:
            raise TargetError(str(error)) from error

    async def _transactions(self, pod: str) -> int:
        reader = PostgresReader(self._role.replica_dsns[pod], what=pod)
        try:
            return await reader.transactions()
        except Unreachable as error:
            raise TargetError(str(error)) from error
        finally:
            reader.close()


def _ordinal(pod: str) -> int:
    """The number of a StatefulSet's pod: it gives up the highest first."""
    number = pod.rpartition("-")[2]
    if not number.isdecimal():
        raise TargetError(f"{pod} is not a pod of a StatefulSet")
    return int(number)
