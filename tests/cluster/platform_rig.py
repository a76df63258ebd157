"""The platform in a real cluster, in a namespace of the test's own, and ways to it through the API server alone."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import yaml
from cluster_rig import IMAGES, ROOT, Document, command, kubectl

READY_WITHIN_S, CALL_WITHIN_S = 300.0, 30.0
FORWARDING = re.compile(r"Forwarding from 127\.0\.0\.1:(\d+)")


@dataclass(frozen=True, slots=True)
class Installed:
    """The platform in `namespace`; `folder` holds the overlay that put it there."""

    namespace: str
    folder: Path
    ready_s: float = 0.0

    def kubectl(self, *words: str, within_s: float = CALL_WITHIN_S) -> str:
        """What kubectl says on stdout. Fails the test when it fails."""
        return kubectl("--namespace", self.namespace, *words, within_s=within_s)

    def pods(self, app: str) -> list[Document]:
        """The pods of a component, without those that are told to end."""
        found = json.loads(self.kubectl("get", "pods", "-l", f"app={app}", "-o", "json"))["items"]
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def ready(self, app: str) -> set[str]:
        """Names of the ready ones."""
        return {pod["metadata"]["name"] for pod in self.pods(app) if _is_ready(pod)}

    def wait_ready(self) -> None:
        """Until every workload has what it wants, and is at its last revision."""
        workloads = self.kubectl("get", "deployments,statefulsets", "-o", "name").split()
        for workload in workloads:
            self.kubectl("rollout", "status", workload, f"--timeout={READY_WITHIN_S:.0f}s", within_s=READY_WITHIN_S + CALL_WITHIN_S)

    @contextmanager
    def forward(self, service: str, port: int) -> Iterator[int]:
        """A port on this machine that leads to one pod of a Service, for as long as that pod lives."""
        forwarding = command("--namespace", self.namespace, "port-forward", f"service/{service}", f":{port}")
        with subprocess.Popen(forwarding, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            try:
                told = FORWARDING.search(process.stdout.readline())
                assert told is not None, f"kubectl forwards nothing to {service}:{port}"
                yield int(told[1])
            finally:
                process.terminate()

    @contextmanager
    def http(self, service: str, port: int) -> Iterator[httpx.Client]:
        with self.forward(service, port) as local, httpx.Client(base_url=f"http://127.0.0.1:{local}", timeout=CALL_WITHIN_S) as client:
            yield client

    def rows(self, service: str, query: str, *, port: int = 5432) -> list[tuple[Any, ...]]:
        """What a PostgreSQL server answers."""
        with self.forward(service, port) as local:
            return asyncio.run(_rows(local, query))


async def _rows(port: int, query: str) -> list[tuple[Any, ...]]:
    connection = await asyncpg.connect(f"postgresql://media@127.0.0.1:{port}/media_gateway", timeout=CALL_WITHIN_S)
    try:
        return [tuple(row) for row in await connection.fetch(query)]
    finally:
        await connection.close()


@contextmanager
def installed(namespace: str, folder: Path, base: Path = ROOT / "manifests/platform") -> Iterator[Installed]:
    """Apply the platform, or a copy of it with a flaw, wait until it is ready, and take it away at the end."""
    images = [{"name": name, "newName": f"{IMAGES}{name}"} for name in ("platform", "toxiproxy")]
    overlay = {"resources": [os.path.relpath(base, folder)], "namespace": namespace, "images": images}
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(overlay), encoding="utf-8")
    began, platform = time.monotonic(), Installed(namespace, folder)
    try:
        platform.kubectl("apply", "-k", str(folder), within_s=2 * CALL_WITHIN_S)
        platform.wait_ready()
        yield Installed(namespace, folder, time.monotonic() - began)
    finally:
        platform.kubectl("delete", "namespace", namespace, "--ignore-not-found", within_s=READY_WITHIN_S)


def _is_ready(pod: Document) -> bool:
    conditions: Iterable[Document] = pod["status"].get("conditions", ())
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
