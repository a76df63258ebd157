"""A process-backed cluster for the probes' tests, and a relay in front of its API that can be cut and frozen."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from sandbox.kube.cluster import Cluster

NAMESPACE = "media-gateway"
_HERE = Path(__file__).parent
_READY = {"httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 1, "failureThreshold": 1}


def _deployment(app: str, replicas: int, port: int) -> dict[str, Any]:
    container = {
        "name": "main",
        "command": [sys.executable, str(_HERE / "probes_workload.py")],
        "ports": [{"name": "http", "containerPort": port}],
        "readinessProbe": _READY,
    }
    spec = {"containers": [container], "terminationGracePeriodSeconds": 1}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": app, "namespace": NAMESPACE},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": app}},
            "template": {"metadata": {"labels": {"app": app}}, "spec": spec},
        },
    }


def objects(ports: dict[str, int]) -> list[dict[str, Any]]:
    """A namespace with Deployments of two replicas each."""
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    return [namespace, *(_deployment(app, 2, port) for app, port in ports.items())]


@contextmanager
def cluster(directory: Path, prefix: str, ports: dict[str, int]) -> Iterator[dict[str, Any]]:
    """Start it in a process of its own, wait until its pods are ready, stop it. Yields what `serve` says about it."""
    command = [sys.executable, __file__, str(directory), prefix]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(objects(ports)))
        process.stdin.close()
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(20)


class Relay:
    """Passes bytes to the API server until it is told to freeze them or to cut all connections."""

    def __init__(self, api_url: str) -> None:
        self._upstream = (str(urlsplit(api_url).hostname), urlsplit(api_url).port)
        self._flows = asyncio.Event()
        self._flows.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self.connections = 0

    async def start(self) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    def freeze(self) -> None:
        self._flows.clear()

    def thaw(self) -> None:
        self._flows.set()

    def cut(self) -> None:
        for writer in tuple(self._writers):
            writer.transport.abort()

    async def stop(self) -> None:
        self._server.close()
        self.thaw()
        self.cut()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        up_reader, up_writer = await asyncio.open_connection(*self._upstream)
        self._writers |= {writer, up_writer}
        await asyncio.gather(self._pass(reader, up_writer), self._pass(up_reader, writer))
        self._writers -= {writer, up_writer}

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                await self._flows.wait()
                writer.write(data)
                await writer.drain()
        except OSError:
            return
        finally:
            writer.close()


def kubeconfig_through(relay_port: int, kubeconfig: Path, destination: Path) -> Path:
    """The same credentials, another address."""
    document = yaml.safe_load(kubeconfig.read_text())
    document["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{relay_port}"
    descriptor = os.open(destination, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        yaml.safe_dump(document, file)
    return destination


async def serve(directory: Path, prefix: str) -> None:
    """Run a cluster with the objects on stdin until SIGTERM; one JSON line on stdout when its pods are ready."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    made = json.load(sys.stdin)
    running = Cluster(directory, prefix)
    try:
        await running.start()
        await running.apply(made)
        await running.wait_ready(NAMESPACE, 30)
        print(json.dumps({"kubeconfig": str(running.kubeconfig), "api_url": running.api_url, "pids": running.pids()}), flush=True)
        await stop.wait()
    finally:
        await running.stop()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), sys.argv[2]))
