"""A target that counts its own requests, and a namespace for the load, in a real cluster; made and taken away by the tests."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from cluster_rig import IMAGES, KUBECONFIG, Document
from interposed_rig import Cluster
from manifest_rig import LOAD, ORCHESTRATOR, Installed, moved, rendered

from probes.target import JobLoad, TargetDescription

IMAGE = f"{IMAGES}chaos-orchestrator:local"
PORT = 8080
WORKERS = 3
COUNTER = """
import asyncio, collections, json
seen = collections.Counter()
async def serve(reader, writer):
    try:
        while True:
            path = (await reader.readuntil(b"\\r\\n\\r\\n")).split(b" ")[1].decode()
            if path == "/count":
                body = json.dumps({"requests": sum(seen.values()), "operations": len(seen)}).encode()
            else:
                seen[path] += 1
                body = b'{"results": [1]}'
            writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n%b" % (len(body), body))
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()
async def main():
    server = await asyncio.start_server(serve, "0.0.0.0", 8080)
    await server.serve_forever()
asyncio.run(main())
"""
"""Every request but those for /count has an operation id in its path: what came twice is more requests than operations."""


@dataclass(frozen=True, slots=True)
class Place:
    """`cluster.namespace` has the target and the orchestrator's identity, `load` the pods of the load."""

    cluster: Cluster
    load: str
    folder: Path

    @property
    def installed(self) -> Installed:
        return Installed(self.cluster.namespace, self.cluster.namespace, self.folder)

    @property
    def nodes(self) -> list[str]:
        """Those that take pods, in the order of their names."""
        found = self.cluster.get("nodes")["items"]
        return sorted(node["metadata"]["name"] for node in found if not node["spec"].get("taints"))

    def of_load(self, *words: str) -> list[Document]:
        """Objects in the load's namespace."""
        items: list[Document] = json.loads(self.installed.kubectl("-n", self.load, "get", *words, "-o", "json"))["items"]
        return items

    def secrets(self) -> list[str]:
        return [one["metadata"]["name"] for one in self.of_load("secrets")]

    def counted(self) -> dict[str, dict[str, int]]:
        """Pod of the target -> requests and operations, by its own counter."""
        pods = [pod["metadata"]["name"] for pod in self.cluster.get("pods", "-l", "app=target")["items"]]
        path = f"/api/v1/namespaces/{self.cluster.namespace}/pods"
        return {pod: json.loads(self.cluster.kubectl("get", "--raw", f"{path}/{pod}:{PORT}/proxy/count")) for pod in pods}

    def described(self, *, gateway_url: str, **load: Any) -> TargetDescription:
        """The target for a run with the rights of the administrator."""
        route = {"method": "GET", "path": "/{content_id}?op={operation_id}", "check": {"non_empty": "results"}}
        kubernetes = {"kubeconfig": KUBECONFIG, "context": self.cluster.context(), "namespace": self.cluster.namespace}
        return TargetDescription.model_validate(
            {
                "name": "counting",
                "kubernetes": kubernetes,
                "gateway_url": gateway_url,
                "load": self.job(**load).model_dump(),
                "content_id_format": "content-{number}",
                "content_count": 100,
                "routes": {"search": route | {"authenticated_ratio": 0, "maximum_ms": 2000}},
                "roles": {},
                "workloads": {"target": "deployments"},
            }
        )

    def job(self, **more: Any) -> JobLoad:
        inside = f"http://target.{self.cluster.namespace}.svc:{PORT}"
        given = {"engine": "job", "workers": WORKERS, "namespace": self.load, "image": IMAGE, "gateway_url": inside}
        return JobLoad.model_validate(given | more)


@contextmanager
def a_place(folder: Path) -> Iterator[Place]:
    cluster = Cluster("load-target")
    place = Place(cluster, f"load-{secrets.token_hex(3)}", folder)
    there = place.installed
    try:
        there.kubectl("create", "namespace", cluster.namespace)
        there.kubectl("label", "namespace", cluster.namespace, "chaos.media-gateway/enabled=true")
        there.kubectl("-n", cluster.namespace, "create", "serviceaccount", "chaos-injector")
        cluster.apply(*_target())
        documents = moved(rendered("../load"), {LOAD: place.load, ORCHESTRATOR: cluster.namespace})
        there.kubectl("apply", "-f", "-", given=yaml.safe_dump_all(documents))
        cluster.kubectl("rollout", "status", "deployment/target", "--timeout=50s")
        yield place
    finally:
        there.kubectl("delete", "namespace", cluster.namespace, place.load, "--ignore-not-found", "--wait=false")


def _target() -> list[dict[str, Any]]:
    """A Deployment of one pod, and its Service."""
    labels = {"app": "target"}
    container = {"name": "target", "image": IMAGE, "imagePullPolicy": "IfNotPresent", "command": ["python", "-c", COUNTER]}
    container |= {"ports": [{"containerPort": PORT}], "readinessProbe": {"tcpSocket": {"port": PORT}, "periodSeconds": 1}}
    template = {"metadata": {"labels": labels}, "spec": {"terminationGracePeriodSeconds": 0, "containers": [container]}}
    return [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "target"},
            "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": template},
        },
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "target"}, "spec": {"selector": labels, "ports": [{"port": PORT}]}},
    ]
