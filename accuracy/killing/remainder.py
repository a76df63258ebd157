"""What a fault can leave on the sandbox, asked of the sandbox itself and not of our ledger."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from accuracy.matrix.cluster import KubeConfig, trusting

CALL_S = 2.0


class Remainder:
    """The platform of one description. An async context manager; calls raise httpx.HTTPError."""

    def __init__(self, description: dict[str, Any]) -> None:
        kubernetes, roles = description["kubernetes"], description["roles"]
        config = KubeConfig.of(Path(kubernetes["kubeconfig"]))
        token = config.document["users"][0]["user"]["token"]
        name = roles["postgres-replica"]["statefulset"]
        self._replicas = f"{config.server}/apis/apps/v1/namespaces/{kubernetes['namespace']}/statefulsets/{name}"
        self._wanted = len(roles["postgres-replica"]["replica_dsns"])
        self._proxies = f"{roles['qdrant-link']['toxiproxy_url']}/proxies"
        self._toxiproxy = httpx.AsyncClient(timeout=CALL_S, trust_env=False)
        self._kube = httpx.AsyncClient(
            headers={"authorization": f"Bearer {token}"},
            verify=trusting(config.document["clusters"][0]["cluster"]),
            timeout=CALL_S,
            trust_env=False,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._toxiproxy.aclose()
        await self._kube.aclose()

    async def left(self) -> list[str]:
        """What is not as it was: disabled links, toxics, missing replicas."""
        proxies = (await self._toxiproxy.get(self._proxies)).raise_for_status().json().values()
        found = [f"link {one['name']} is disabled" for one in proxies if not one["enabled"]]
        found += [f"toxic {toxic['name']}" for one in proxies for toxic in one["toxics"] or ()]
        replicas = (await self._kube.get(self._replicas)).raise_for_status().json()["spec"]["replicas"]
        return found + ([f"{replicas} of {self._wanted} replicas are asked for"] if replicas != self._wanted else [])
