"""The way back of a load in a cluster: its Job taken away with all its pods, and its Secret with it."""

from __future__ import annotations

from orchestrator.errors import HealFailed, TargetError
from orchestrator.faults.base import Receipt
from orchestrator.faults.permissions import LOAD_NAME
from orchestrator.targets.load_jobs import LoadJobs
from probes.clock import Clock
from probes.target import Kubernetes

LOAD_JOB = "load_job"
"""The kind of its receipts."""
NAME = "load workers (job)"
"""No fault can be called so."""
DEADLINE_S = 18.0
"""A pod gets 5 s to end; the rest is for an API server that is slow."""
LOOK_S = 0.25


def receipt(run_id: str, namespace: str, workers: int) -> Receipt:
    target = f"Job {LOAD_NAME} of {workers} workers in namespace {namespace}"
    return Receipt(fault=NAME, kind=LOAD_JOB, run_id=run_id, settings={}, target=target, data={"namespace": namespace})


class LoadWayBack:
    """Heals with nothing but a receipt. A Job of another run is left alone."""

    def __init__(self, receipt: Receipt, target: Kubernetes, clock: Clock) -> None:
        """Raises Unreachable when the kubeconfig cannot be used."""
        self._namespace = str(receipt.data["namespace"])
        self._context = target.context
        self._jobs = LoadJobs(target.model_copy(update={"namespace": self._namespace}))
        self._clock = clock

    async def close(self) -> None:
        self._jobs.close()

    async def heal(self, receipt: Receipt) -> None:
        """Raises HealFailed with the command for a person."""
        deadline, trouble = self._clock.now() + DEADLINE_S, "its pods do not end"
        while self._clock.now() < deadline:
            try:
                if await self._jobs.owner() != receipt.run_id:
                    return
                await self._jobs.delete()
            except TargetError as error:
                trouble = str(error)
            await self._clock.sleep_until(self._clock.now() + LOOK_S)
        remedy = f"kubectl --context {self._context} -n {self._namespace} delete job {LOAD_NAME}"
        raise HealFailed(f"{self._jobs.place} is still there ({trouble})", remedy)
