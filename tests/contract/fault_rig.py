"""What the faults on links meet in their tests: an upstream behind the sandbox's proxy, and the API server's answers about its callers."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import yaml
from scripted_server import Reply, ScriptedServer

from orchestrator.faults.base import Surroundings
from probes.clock import SystemClock
from probes.target import LinkRole, MetricSource, Role, TargetDescription, load_description
from sandbox.describe import Place, description

CLOCK = SystemClock()
_POD = {
    "metadata": {"name": "caller-1", "uid": "uid-1", "resourceVersion": "1", "labels": {"app": "caller"}},
    "spec": {"containers": [{"name": "main", "ports": [{"name": "http", "containerPort": 80}]}]},
    "status": {"phase": "Running", "podIP": "127.0.0.1", "conditions": [{"type": "Ready", "status": "True"}]},
}
_WORKLOAD = {"metadata": {"name": "caller"}, "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "caller"}}}}


class Api:
    """Just enough of an API server: one workload with one pod, whose counter grows by 5 with each look."""

    def __init__(self) -> None:
        self.calls = 0

    def answer(self, head: bytes) -> Reply:
        path = head.split(b" ")[1]
        if b"/proxy/metrics" in path:
            self.calls += 5
            return Reply("metrics", body=f'calls_total{{dependency="x"}} {self.calls}\n'.encode())
        document = {"metadata": {"resourceVersion": "1"}, "items": [_POD]} if b"/pods" in path else _WORKLOAD
        return Reply("object", body=json.dumps(document).encode(), headers="Content-Type: application/json\r\n")


@asynccontextmanager
async def served(server: ScriptedServer) -> AsyncIterator[str]:
    await server.open()
    try:
        yield server.url
    finally:
        await server.close()


def platform(api_url: str, folder: Path) -> TargetDescription:
    """The sandbox's description, with the API server at this address."""
    kubeconfig = folder / "kubeconfig"
    named = {"cluster": {"server": api_url}, "user": {"token": "secret"}, "context": {"cluster": "x", "user": "x", "namespace": "default"}}
    document = {f"{kind}s": [{"name": "sandbox" if kind == "context" else "x", kind: value}] for kind, value in named.items()}
    kubeconfig.write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "Config", "current-context": "sandbox"} | document), encoding="utf-8")
    return load_description(description(Place(kubeconfig, None)), source="test")


def link_role(toxiproxy_url: str) -> LinkRole:
    source = MetricSource(workload="caller", metric="calls_total", labels={"dependency": "x"})
    return LinkRole(kind="link", toxiproxy_url=toxiproxy_url, proxy="link", canary_path="/", exposure=source)


def around(platform: TargetDescription, role: Role) -> Surroundings:
    return Surroundings("cut", "run-1", platform, role, CLOCK)
