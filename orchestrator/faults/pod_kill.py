"""`pod_kill`: delete one pod of a role, at once or with its grace period. One-shot; the platform replaces it."""

from __future__ import annotations

import asyncio
from random import Random

from pydantic import Field

from orchestrator.errors import NothingToHitError, TargetError
from orchestrator.faults.base import BlastRadius, Exposure, Proof, Receipt, Surroundings
from orchestrator.faults.base import Settings as BaseSettings
from orchestrator.faults.counters import counted, named, pods_of
from orchestrator.targets.kube import KubeWriter
from probes.clients.kube import KubeReader
from probes.clients.pods import Pod
from probes.clients.unreachable import Unreachable
from probes.target import WorkloadRole

CONNECT_S = 2.0


class Settings(BaseSettings):
    """`graceful` lets the pod end by itself; `may_take_last` lets the fault take the last ready replica."""

    hold_s: float = Field(default=0.0, ge=0, le=0)
    graceful: bool = False
    may_take_last: bool = False


class PodKill:
    """DELETE of one pod, drawn by the run's seeded random from the sorted ready pods of the role."""

    def __init__(self, surroundings: Surroundings, settings: Settings) -> None:
        assert isinstance(surroundings.role, WorkloadRole)
        self._around = surroundings
        self._role = surroundings.role
        self._settings = settings
        self._kube = KubeReader(surroundings.description.cluster, surroundings.clock, threads=4)
        self._writer = KubeWriter(surroundings.description.cluster)

    async def preview(self) -> BlastRadius:
        ready = await self._ready_pods()
        what, may_take_last = f"ready pods of {self._role.workload}", self._settings.may_take_last
        return BlastRadius(what, min(1, len(ready)), len(ready), capped=True, may_take_last=may_take_last)

    async def prepare(self, rng: Random) -> Receipt:
        ready = await self._ready_pods()
        if not ready:
            raise NothingToHitError(f"{self._role.workload} has no ready pod to kill")
        if len(ready) == 1 and not self._settings.may_take_last:
            raise NothingToHitError(f"{self._role.workload} has one ready pod only; let the fault take it with may_take_last, or run two")
        (pod,) = rng.sample(ready, 1)
        port = _port(pod, self._role.port)
        reachable = await _connects(pod.ip, port)
        if not reachable:
            raise TargetError(f"pod {pod.name} at {pod.ip}:{port} cannot be reached from here, so its death could not be felt")
        before = await counted(self._kube, [pod], self._role.exposure)
        return Receipt(
            fault=self._around.fault,
            kind="pod_kill",
            run_id=self._around.run_id,
            settings=self._settings.model_dump(mode="json"),
            target=f"pod {pod.name}",
            data={"pod": pod.name, "uid": pod.uid, "ip": pod.ip, "port": port, "counted": before},
        )

    async def exposure(self, receipt: Receipt) -> Exposure:
        pods = [pod for pod in await self._ready_pods() if pod.uid == receipt.data["uid"]]
        now = await counted(self._kube, pods, self._role.exposure)
        return Exposure(now - _integer(receipt, "counted"), named(self._role.exposure))

    async def inject(self, receipt: Receipt) -> None:
        grace_s = None if self._settings.graceful else 0
        if not await self._writer.delete_pod(str(receipt.data["pod"]), uid=str(receipt.data["uid"]), grace_s=grace_s):
            raise TargetError(f"pod {receipt.data['pod']} was gone before it could be killed")

    async def prove(self, receipt: Receipt) -> Proof:
        # A grace-0 delete removes the object at once while the process may live on: only its address tells.
        address = f"{receipt.data['ip']}:{receipt.data['port']}"
        if not await _connects(str(receipt.data["ip"]), _integer(receipt, "port")):
            return Proof("felt", f"{address} no longer answers")
        gone = all(pod.uid != receipt.data["uid"] for pod in await self._ready_pods())
        return (
            Proof("read_back", f"the pod is gone, {address} still answers") if gone else Proof("acknowledged", f"{address} still answers")
        )

    async def heal(self, receipt: Receipt) -> None:
        """Nothing to take away: the workload's controller replaces the pod, and that is recovery."""

    async def close(self) -> None:
        self._kube.close()
        self._writer.close()

    async def _ready_pods(self) -> list[Pod]:
        return [pod for pod in await pods_of(self._kube, self._role.resource, self._role.workload) if pod.ready]


def _port(pod: Pod, name: str) -> int:
    try:
        return pod.port(name)
    except Unreachable as error:
        raise TargetError(str(error)) from error


def _integer(receipt: Receipt, key: str) -> int:
    value = receipt.data[key]
    assert isinstance(value, int)
    return value


async def _connects(host: str, port: int) -> bool:
    """Whether a TCP connection can be made."""
    try:
        async with asyncio.timeout(CONNECT_S):
            _reader, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True
