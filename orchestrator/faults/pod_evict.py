"""`pod_evict`: ask for the eviction of one pod of a role, as draining its node would. One-shot; the platform replaces it."""

from __future__ import annotations

from orchestrator.errors import TargetError
from orchestrator.faults.base import Receipt
from orchestrator.faults.one_pod import OnePod, OnePodSettings


class Settings(OnePodSettings):
    """`may_take_last` lets the fault take the last ready replica, where no PodDisruptionBudget forbids it."""


class PodEvict(OnePod):
    """An Eviction of one pod: it ends within its grace period, or a PodDisruptionBudget refuses, and nothing happened."""

    kind = "pod_evict"

    async def inject(self, receipt: Receipt) -> None:
        if not await self.writer.evict_pod(str(receipt.data["pod"]), uid=str(receipt.data["uid"])):
            raise TargetError(f"pod {receipt.data['pod']} was gone before it could be evicted")
