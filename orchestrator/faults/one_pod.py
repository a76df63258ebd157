"""What the faults that take one pod away share: everything but the write. Its end is felt at its address; nothing need be healed."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from random import Random
from typing import ClassVar

from pydantic import Field, JsonValue

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


class OnePodSettings(BaseSettings):
    """`may_take_last` lets the fault take the last ready replica."""

    hold_s: float = Field(default=0.0, ge=0, le=0)
    may_take_last: bool = False


class OnePod(ABC):
    """One ready pod of a role, drawn by the run's seeded random from the sorted ready pods."""

    kind: ClassVar[str]

    def __init__(self, around: Surroundings, settings: OnePodSettings) -> None:
        assert isinstance(around.role, WorkloadRole)
        self._around = around
        self._role = around.role
        self._settings = settings
        self._kube = KubeReader(around.description.cluster, around.clock, threads=4)
        self.writer = KubeWriter(around.description.cluster)

    @abstractmethod
    async def inject(self, receipt: Receipt) -> None:
        """The write that takes the pod away."""

    async def heal(self, receipt: Receipt) -> None:  # noqa: B027 - not left open: there is nothing to do
        """Nothing to take away: the workload's controller replaces the pod, and that is recovery."""

    async def close(self) -> None:
        self._kube.close()
        self.writer.close()

    async def prepare(self, rng: Random) -> Receipt:
        data = await self._draw(rng)
        return Receipt(
            fault=self._around.fault,
            kind=self.kind,
            run_id=self._around.run_id,
            settings=self._settings.model_dump(mode="json"),
            target=f"pod {data['pod']}",
            data=data,
        )

    async def preview(self) -> BlastRadius:
        ready = await self._ready_pods()
        what = f"ready pods of {self._role.workload}"
        return BlastRadius(what, min(1, len(ready)), len(ready), capped=True, may_take_last=self._settings.may_take_last)

    async def _draw(self, rng: Random) -> dict[str, JsonValue]:
        """The receipt's data: pod, uid, ip, port, counted. Raises TargetError where none can be taken, or its end not be felt."""
        ready = await self._ready_pods()
        if not ready:
            raise NothingToHitError(f"{self._role.workload} has no ready pod to take")
        if len(ready) == 1 and not self._settings.may_take_last:
            raise NothingToHitError(f"{self._role.workload} has one ready pod only; let the fault take it with may_take_last, or run two")
        (pod,) = rng.sample(ready, 1)
        port = _port(pod, self._role.port)
        if not await _connects(pod.ip, port):
            raise TargetError(f"pod {pod.name} at {pod.ip}:{port} cannot be reached from here, so its death could not be felt")
        before = await counted(self._kube, [pod], self._role.exposure)
        return {"pod": pod.name, "uid": pod.uid, "ip": pod.ip, "port": port, "counted": before}

    async def exposure(self, receipt: Receipt) -> Exposure:
        pods = [pod for pod in await self._ready_pods() if pod.uid == receipt.data["uid"]]
        now = await counted(self._kube, pods, self._role.exposure)
        return Exposure(now - _integer(receipt, "counted"), named(self._role.exposure))

    async def prove(self, receipt: Receipt) -> Proof:
        # A grace-0 delete removes the object at once while the process may live on: only its address tells.
        address = f"{receipt.data['ip']}:{receipt.data['port']}"
        if not await _connects(str(receipt.data["ip"]), _integer(receipt, "port")):
            return Proof("felt", f"{address} no longer answers")
        if any(pod.uid == receipt.data["uid"] for pod in await self._ready_pods()):
            return Proof("acknowledged", f"{address} still answers")
        return Proof("read_back", f"the pod is gone, {address} still answers")

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
