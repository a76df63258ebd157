"""`pod_kill`: delete one pod of a role, at once or with its grace period. One-shot; the platform replaces it."""

from __future__ import annotations

from random import Random

from pydantic import Field

from orchestrator.errors import TargetError
from orchestrator.faults.base import BlastRadius, Exposure, Proof, Receipt, Surroundings
from orchestrator.faults.base import Settings as BaseSettings
from orchestrator.faults.one_pod import OnePod


class Settings(BaseSettings):
    """`graceful` lets the pod end by itself; `may_take_last` lets the fault take the last ready replica."""

    hold_s: float = Field(default=0.0, ge=0, le=0)
    graceful: bool = False
    may_take_last: bool = False


class PodKill:
    """DELETE of one pod."""

    def __init__(self, surroundings: Surroundings, settings: Settings) -> None:
        self._around = surroundings
        self._settings = settings
        self._pod = OnePod(surroundings, may_take_last=settings.may_take_last)

    async def preview(self) -> BlastRadius:
        return await self._pod.preview()

    async def prepare(self, rng: Random) -> Receipt:
        data = await self._pod.draw(rng)
        return Receipt(
            fault=self._around.fault,
            kind="pod_kill",
            run_id=self._around.run_id,
            settings=self._settings.model_dump(mode="json"),
            target=f"pod {data['pod']}",
            data=data,
        )

    async def exposure(self, receipt: Receipt) -> Exposure:
        return await self._pod.exposure(receipt)

    async def inject(self, receipt: Receipt) -> None:
        grace_s = None if self._settings.graceful else 0
        if not await self._pod.writer.delete_pod(str(receipt.data["pod"]), uid=str(receipt.data["uid"]), grace_s=grace_s):
            raise TargetError(f"pod {receipt.data['pod']} was gone before it could be killed")

    async def prove(self, receipt: Receipt) -> Proof:
        return await self._pod.prove(receipt)

    async def heal(self, receipt: Receipt) -> None:
        """Nothing to take away: the workload's controller replaces the pod, and that is recovery."""

    async def close(self) -> None:
        await self._pod.close()
