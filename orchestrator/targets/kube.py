"""Writes to the Kubernetes API: delete or evict a pod, set a replica count."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

import urllib3

from orchestrator.errors import TargetError
from probes.clients.kube import api_client
from probes.target import Kubernetes

TIMEOUT_S = 5.0


class KubeWriter:
    """Changes one namespace. Every call raises TargetError within its time-out."""

    def __init__(self, target: Kubernetes) -> None:
        self._namespace = target.namespace
        self._api = api_client(target, connections=4)
        self._host = str(self._api.configuration.host).rstrip("/")

    def close(self) -> None:
        self._api.rest_client.pool_manager.clear()

    async def delete_pod(self, name: str, *, uid: str, grace_s: int | None) -> bool:
        """Delete exactly this pod (its uid is a precondition). False when it is gone already."""
        body: dict[str, Any] = {"preconditions": {"uid": uid}}
        if grace_s is not None:
            body["gracePeriodSeconds"] = grace_s
        status, document = await self.call("DELETE", f"/api/v1/namespaces/{self._namespace}/pods/{name}", body)
        if status in (404, 409):
            return False
        self._expect_success(f"delete pod {name}", status, document)
        return True

    async def evict_pod(self, name: str, *, uid: str) -> bool:
        """Ask for the eviction of exactly this pod. False when it is gone already; TargetError where a disruption budget refuses."""
        path = f"/api/v1/namespaces/{self._namespace}/pods/{name}/eviction"
        body = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": name, "namespace": self._namespace},
            "deleteOptions": {"preconditions": {"uid": uid}},
        }
        status, document = await self.call("POST", path, body)
        if status in (404, 409):
            return False
        self._expect_success(f"evict pod {name}", status, document)
        return True

    async def scale(self, resource: str, name: str, replicas: int) -> None:
        """Set the replica count of a workload through its scale subresource."""
        path = f"/apis/apps/v1/namespaces/{self._namespace}/{resource}/{name}/scale"
        status, document = await self.call("PATCH", path, {"spec": {"replicas": replicas}})
        self._expect_success(f"scale {name} to {replicas}", status, document)

    async def set_replicas(self, resource: str, name: str, replicas: int) -> None:
        """The same in the workload's own spec, where its scale subresource does not do it."""
        path = f"/apis/apps/v1/namespaces/{self._namespace}/{resource}/{name}"
        status, document = await self.call("PATCH", path, {"spec": {"replicas": replicas}})
        self._expect_success(f"set replicas of {name} to {replicas}", status, document)

    def _expect_success(self, what: str, status: int, document: Mapping[str, Any]) -> None:
        if status not in (200, 201, 202):
            raise TargetError(f"{what}: the API server answered {status} {document.get('message', '')}".rstrip())

    async def call(
        self, method: str, path: str, body: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None
    ) -> tuple[int, dict[str, Any]]:
        """One call: the status and the document that came back; a list as the body of a PATCH is a JSON patch.

        Raises TargetError when there was no answer in time.
        """
        sent = b"" if body is None else json.dumps(body).encode()
        patch = "application/merge-patch+json" if isinstance(body, Mapping) else "application/json-patch+json"
        kind = patch if method == "PATCH" else "application/json"
        try:
            async with asyncio.timeout(TIMEOUT_S * 1.5):
                return await asyncio.to_thread(self._blocking_call, method, path, sent, kind)
        except TimeoutError as error:
            raise TargetError(f"{method} {path}: no answer within {TIMEOUT_S * 1.5:g} s") from error

    def _blocking_call(self, method: str, path: str, body: bytes, kind: str) -> tuple[int, dict[str, Any]]:
        settings = self._api.configuration.auth_settings().values()
        headers = {"content-type": kind, "accept": "application/json"} | {
            one["key"]: one["value"] for one in settings if one["in"] == "header"
        }
        pool: urllib3.PoolManager = self._api.rest_client.pool_manager
        try:
            answer = pool.request(
                method,
                self._host + path,
                body=body,
                headers=headers,
                timeout=urllib3.Timeout(total=TIMEOUT_S),
                retries=False,
                redirect=False,
            )
            document = json.loads(answer.data or b"{}")
        except (urllib3.exceptions.HTTPError, ValueError) as error:
            raise TargetError(f"{method} {path}: {type(error).__name__}: {error}") from error
        return answer.status, document if isinstance(document, dict) else {}
