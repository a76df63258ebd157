"""The Job of the load and its pods, in a namespace of their own choice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from orchestrator.errors import TargetError
from orchestrator.faults.permissions import LOAD_NAME
from orchestrator.targets.kube import KubeWriter
from orchestrator.targets.services import OWNER
from probes.target import Kubernetes

INDEX = "batch.kubernetes.io/job-completion-index"
"""Annotation of a pod of an Indexed Job."""


WRITTEN_WITHIN_S = 4
"""What the API server itself gives to making the Job: no Job comes later than this after its request was sent."""


class JobRefusedError(TargetError):
    """The API server said no: no Job will come of it."""


@dataclass(frozen=True, slots=True)
class SeenJob:
    """The Job that is there. `run` made it ("" where its mark is missing); `going`: it is told to go and waits for its pods."""

    run: str
    uid: str
    going: bool


@dataclass(frozen=True, slots=True)
class LoadPod:
    """A pod of the Job. `trouble`: why it does not run, in the API server's words; empty while nothing is wrong."""

    name: str
    index: int
    over: bool
    """It has ended, or is told to."""
    trouble: str
    ended: bool = False
    """Nothing runs in it any more."""


class LoadJobs:
    """The one Job of this name in the namespace. Every call raises TargetError within its time-out."""

    def __init__(self, target: Kubernetes) -> None:
        self._writer = KubeWriter(target)
        self._namespace = target.namespace
        self._path = f"/apis/batch/v1/namespaces/{target.namespace}/jobs"
        self._core = f"/api/v1/namespaces/{target.namespace}"

    @property
    def place(self) -> str:
        """Where it is, for people."""
        return f"Job {LOAD_NAME} in namespace {self._namespace}"

    def close(self) -> None:
        self._writer.close()

    async def create(self, job: Mapping[str, Any]) -> dict[str, Any]:
        """The Job as it was made. Raises JobRefusedError where the API server refuses it, and for one that is there already."""
        status, document = await self._writer.call("POST", f"{self._path}?timeout={WRITTEN_WITHIN_S}s", job)
        if status == 409:
            seen = await self.seen()
            raise JobRefusedError(
                f"{self.place} is there already, of run {(seen and seen.run) or 'nobody'}: heal that run, or delete the Job"
            )
        if 400 <= status < 500:
            said = f"the API server answered {status} {document.get('message', '')}".rstrip()
            hint = "; the namespace is load.namespace, and manifests/load has it with the rights" if status in (403, 404) else ""
            raise JobRefusedError(f"make {self.place}: {said}{hint}")
        self._expect(f"make {self.place}", status, document, (201,))
        return document

    async def create_secret(self, secret: Mapping[str, Any]) -> None:
        status, document = await self._writer.call("POST", f"{self._core}/secrets", secret)
        self._expect(f"make the Secret of {self.place}", status, document, (201,))

    async def seen(self) -> SeenJob | None:
        """None where there is no Job."""
        status, document = await self._writer.call("GET", f"{self._path}/{LOAD_NAME}")
        if status == 404:
            return None
        self._expect(f"read {self.place}", status, document, (200,))
        metadata = document["metadata"]
        return SeenJob(str((metadata.get("labels") or {}).get(OWNER, "")), str(metadata["uid"]), "deletionTimestamp" in metadata)

    async def delete(self, uid: str) -> None:
        """Take this Job away; it is there until its pods are gone. One that is not there, or another by now, is fine."""
        body = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Foreground", "preconditions": {"uid": uid}}
        status, document = await self._writer.call("DELETE", f"{self._path}/{LOAD_NAME}", body)
        self._expect(f"delete {self.place}", status, document, (200, 202, 404, 409))

    async def pods(self, run_id: str) -> list[LoadPod]:
        """Those of this run."""
        selector = quote(f"{OWNER}={run_id}", safe="")
        status, document = await self._writer.call("GET", f"{self._core}/pods?labelSelector={selector}")
        self._expect(f"list the pods of {self.place}", status, document, (200,))
        return [pod for entry in document.get("items") or () if (pod := _pod(entry)) is not None]

    def _expect(self, what: str, status: int, document: Mapping[str, Any], fine: tuple[int, ...]) -> None:
        if status not in fine:
            raise TargetError(f"{what}: the API server answered {status} {document.get('message', '')}".rstrip())


def _pod(document: Mapping[str, Any]) -> LoadPod | None:
    """None for a pod without a number."""
    metadata, status = document["metadata"], document.get("status") or {}
    index = (metadata.get("annotations") or {}).get(INDEX, "")
    if not index.isdecimal():
        return None
    ended = status.get("phase") in ("Succeeded", "Failed")
    return LoadPod(metadata["name"], int(index), ended or "deletionTimestamp" in metadata, _trouble(status), ended)


def _trouble(status: Mapping[str, Any]) -> str:
    """What its container or its scheduling waits for, or ended with."""
    for container in status.get("containerStatuses") or ():
        state: Mapping[str, Any] = container.get("state") or {}
        waiting, ended = state.get("waiting"), state.get("terminated")
        if ended:
            return " ".join(f"code {ended.get('exitCode')} {ended.get('message') or ended.get('reason') or ''}".split())
        if waiting and waiting.get("reason") != "ContainerCreating":
            return " ".join(f"{waiting.get('reason')} {waiting.get('message') or ''}".split())
    unscheduled = [one for one in status.get("conditions") or () if one["type"] == "PodScheduled" and one["status"] != "True"]
    return " ".join(str(one.get("message", "")) for one in unscheduled) or str(status.get("reason") or "")
