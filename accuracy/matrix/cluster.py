"""The sandbox's cluster as a sabotage needs it: its API server behind a relay, and a setting in the pods of a Deployment."""

from __future__ import annotations

import base64
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import httpx
import yaml

CALL_S = 5.0
STRATEGIC = "application/strategic-merge-patch+json"


@dataclass(frozen=True, slots=True)
class KubeConfig:
    """A kubeconfig file of one cluster and one user with a token, as the sandbox writes it."""

    document: dict[str, Any]

    @classmethod
    def of(cls, path: Path) -> Self:
        return cls(yaml.safe_load(path.read_text(encoding="utf-8")))

    @property
    def server(self) -> str:
        return str(self.document["clusters"][0]["cluster"]["server"])

    @property
    def host_and_port(self) -> tuple[str, int]:
        parts = urlsplit(self.server)
        assert parts.hostname is not None
        return parts.hostname, parts.port or 443

    def through(self, address: str) -> dict[str, Any]:
        """The same file with the API server reached at another `host:port`."""
        cluster = self.document["clusters"][0]
        moved = cluster | {"cluster": cluster["cluster"] | {"server": f"https://{address}"}}
        return self.document | {"clusters": [moved]}


class Cluster:
    """One namespace as these programs need it. An async context manager; calls raise httpx.HTTPError."""

    def __init__(self, config: KubeConfig, namespace: str) -> None:
        user = config.document["users"][0]["user"]
        apps = f"/apis/apps/v1/namespaces/{namespace}"
        self._path, self._stateful = f"{apps}/deployments", f"{apps}/statefulsets"
        self._pods = f"/api/v1/namespaces/{namespace}/pods"
        self._http = httpx.AsyncClient(
            base_url=config.server,
            headers={"authorization": f"Bearer {user['token']}"},
            verify=_trusting(config.document["clusters"][0]["cluster"]),
            timeout=CALL_S,
            trust_env=False,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def set_environment(self, deployment: str, variables: Mapping[str, str | None]) -> None:
        """Set (None: take away) variables of the first container; the Deployment replaces its pods."""
        shown = (await self._http.get(f"{self._path}/{deployment}")).raise_for_status().json()
        container = shown["spec"]["template"]["spec"]["containers"][0]["name"]
        entries = [{"name": name} | ({"$patch": "delete"} if value is None else {"value": value}) for name, value in variables.items()]
        patch = {"spec": {"template": {"spec": {"containers": [{"name": container, "env": entries}]}}}}
        answer = await self._http.patch(f"{self._path}/{deployment}", json=patch, headers={"content-type": STRATEGIC})
        answer.raise_for_status()

    async def replicas(self, statefulset: str) -> int:
        """How many a StatefulSet asks for."""
        shown = (await self._http.get(f"{self._stateful}/{statefulset}")).raise_for_status().json()
        return int(shown["spec"]["replicas"])

    async def settled(self, deployment: str) -> bool:
        """Whether every pod of the Deployment is of its newest template and ready, and no older one is left."""
        shown = (await self._http.get(f"{self._path}/{deployment}")).raise_for_status().json()
        listed = (await self._http.get(self._pods, params={"labelSelector": f"app={deployment}"})).raise_for_status().json()
        status, wanted = shown.get("status", {}), shown["spec"]["replicas"]
        seen = status.get("observedGeneration", 0) >= shown["metadata"].get("generation", 0)
        counts = [status.get(name, 0) for name in ("replicas", "updatedReplicas", "readyReplicas")]
        return seen and counts == [wanted] * 3 and len(listed["items"]) == wanted


def _trusting(cluster: Mapping[str, Any]) -> ssl.SSLContext:
    if "certificate-authority" in cluster:
        return ssl.create_default_context(cafile=cluster["certificate-authority"])
    return ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
