"""Asks the API server what it would let us do. A review is created and kept by nobody."""

from __future__ import annotations

from dataclasses import asdict

from orchestrator.errors import TargetError
from orchestrator.faults.permissions import Permission
from orchestrator.targets.kube import KubeWriter
from probes.target import Kubernetes

PATH = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


class AccessReviews:
    """SelfSubjectAccessReviews in one namespace. Every call raises TargetError within its time-out."""

    def __init__(self, target: Kubernetes) -> None:
        self._writer = KubeWriter(target)
        self._namespace = target.namespace

    def close(self) -> None:
        self._writer.close()

    async def allows(self, wanted: Permission) -> bool:
        """Whether our identity may do this: in the namespace, where it names no other place."""
        asked = {key: value for key, value in asdict(wanted).items() if value}
        if wanted.namespace is None:
            asked["namespace"] = self._namespace
        body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": {"resourceAttributes": asked}}
        status, document = await self._writer.call("POST", PATH, body)
        if status != 201:
            raise TargetError(f"may we {wanted}: the API server answered {status} {document.get('message', '')}".rstrip())
        return bool(document.get("status", {}).get("allowed"))
