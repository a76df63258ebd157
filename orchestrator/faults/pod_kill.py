"""`pod_kill`: delete one pod of a role, at once or with its grace period. One-shot; the platform replaces it."""

from __future__ import annotations

from orchestrator.errors import TargetError
from orchestrator.faults.base import Receipt, Surroundings
from orchestrator.faults.one_pod import OnePod, OnePodSettings


class Settings(OnePodSettings):
    """`graceful` lets the pod end by itself."""

    graceful: bool = False


class PodKill(OnePod):
    """DELETE of one pod."""

    kind = "pod_kill"

    def __init__(self, surroundings: Surroundings, settings: Settings) -> None:
        super().__init__(surroundings, settings)
        self._grace_s = None if settings.graceful else 0

    async def inject(self, receipt: Receipt) -> None:
        if not await self.writer.delete_pod(str(receipt.data["pod"]), uid=str(receipt.data["uid"]), grace_s=self._grace_s):
            raise TargetError(f"pod {receipt.data['pod']} was gone before it could be killed")
