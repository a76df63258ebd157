"""What a fault can leave on the sandbox, asked of the sandbox itself and not of our ledger."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from accuracy.matrix.cluster import Cluster, KubeConfig

CALL_S = 2.0


class SandboxLeftovers:
    """The sandbox of one description. An async context manager; calls raise httpx.HTTPError."""

    def __init__(self, description: dict[str, Any]) -> None:
        kubernetes, roles = description["kubernetes"], description["roles"]
        self._cluster = Cluster(KubeConfig.of(Path(kubernetes["kubeconfig"])), kubernetes["namespace"])
        self._statefulset = roles["postgres-replica"]["statefulset"]
        self._wanted = len(roles["postgres-replica"]["replica_dsns"])
        self._toxiproxy = httpx.AsyncClient(base_url=roles["qdrant-link"]["toxiproxy_url"], timeout=CALL_S, trust_env=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._toxiproxy.aclose()
        await self._cluster.__aexit__(kind, error, trace)

    async def left(self) -> list[str]:
        """What is not as it was: disabled links, toxics, missing replicas."""
        proxies = (await self._toxiproxy.get("/proxies")).raise_for_status().json().values()
        found = [f"link {one['name']} is disabled" for one in proxies if not one["enabled"]]
        found += [f"toxic {toxic['name']}" for one in proxies for toxic in one["toxics"] or ()]
        replicas = await self._cluster.replicas(self._statefulset)
        return found + ([f"{replicas} of {self._wanted} replicas are asked for"] if replicas != self._wanted else [])
