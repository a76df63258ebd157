"""The way back of a load in a cluster: its Job taken away with all its pods, and its Secret with it."""

from __future__ import annotations

from orchestrator.errors import HealFailed, TargetError
from orchestrator.faults.base import Receipt
from orchestrator.faults.permissions import LOAD_NAME
from orchestrator.targets.load_jobs import WRITTEN_WITHIN_S, LoadJobs
from orchestrator.targets.services import OWNER
from probes.clock import Clock
from probes.target import Kubernetes

LOAD_JOB = "load_job"
"""The kind of its receipts."""
NAME = "load workers (job)"
"""No fault can be called so."""
DEADLINE_S = 18.0
"""A pod gets 5 s to end; the rest is for an API server that is slow."""
LOOK_S = 0.25
LATEST_S = WRITTEN_WITHIN_S + 2.0
"""A Job that was asked for, and that nobody has seen yet, may come so much later: only then nothing is left."""


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

    async def heal(self, receipt: Receipt, *, may_come: bool = True) -> None:
        """Raises HealFailed with the command for a person. `may_come`: a Job that nobody has seen may still be written."""
        began, trouble, met = self._clock.now(), "", not may_come
        while self._clock.now() < began + DEADLINE_S:
            try:
                left = await self._taken_away(receipt.run_id)
                if not left and (met or self._clock.now() >= began + LATEST_S):
                    return
                trouble, met = left, met or bool(left)
            except TargetError as error:
                trouble = str(error)
            await self._clock.sleep_until(self._clock.now() + LOOK_S)
        remedy = f"kubectl --context {self._context} -n {self._namespace} delete job {LOAD_NAME} --cascade=foreground"
        lost = f"; where a pod stays because its node is lost: delete pod -l {OWNER}={receipt.run_id} --force --grace-period=0"
        raise HealFailed(f"{self._jobs.place} is still there ({trouble})", remedy + lost)

    async def _taken_away(self, run_id: str) -> str:
        """What is left of the run's Job after telling it to go; empty where there is nothing. Raises TargetError."""
        seen = await self._jobs.seen()
        if seen is not None and seen.run == run_id:
            if not seen.going:
                await self._jobs.delete(seen.uid)
            return "it waits for its pods to end"
        # A Job that was deleted without waiting is gone before its pods are.
        running = [pod.name for pod in await self._jobs.pods(run_id) if not pod.ended]
        return f"pods {', '.join(running)} have not ended" if running else ""
