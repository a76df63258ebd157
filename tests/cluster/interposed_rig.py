"""A small platform on a real cluster: a Redis and an HTTP server behind Services, a Toxiproxy, and an application that uses both."""

from __future__ import annotations

import json
import secrets
import select
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cluster_rig import IMAGES, KUBECONFIG, command, kubectl

from probes.target import TargetDescription

WAIT_S = 30.0
REDIS, WEB, API = 6379, 8080, 8474
CALLER = """
mkdir -p /tmp/www; n=0; echo '{"well": true}' > /tmp/www/page.json; httpd -p 8080 -h /tmp/www
while :; do
  wget -q -O /dev/null http://web:8080/ && n=$((n+1))
  echo "calls_total{dependency=\\"web\\"} $n" > /tmp/www/metrics
  sleep 0.2
done
"""
LOOPER = "while :; do test -e /tmp/pause || redis-cli -h redis INCR loop > /dev/null; sleep 0.2; done"
SERVE = "mkdir -p /tmp/www; echo hello > /tmp/www/index.html; exec httpd -f -p 8080 -h /tmp/www"


class Cluster:
    """One namespace of the cluster."""

    def __init__(self, purpose: str) -> None:
        self.namespace = f"{purpose}-{secrets.token_hex(3)}"

    def command(self, *arguments: str) -> list[str]:
        return command("-n", self.namespace, *arguments)

    def kubectl(self, *arguments: str, said: str = "") -> str:
        return kubectl("-n", self.namespace, *arguments, given=said)

    def get(self, *arguments: str) -> Any:
        return json.loads(self.kubectl("get", *arguments, "-o", "json"))

    def apply(self, *objects: dict[str, Any]) -> None:
        self.kubectl("apply", "-f", "-", said="\n---\n".join(json.dumps(one) for one in objects))

    def context(self) -> str:
        return self.kubectl("config", "current-context").strip()

    @contextmanager
    def session(self, *command: str, container: str = "looper") -> Iterator[Session]:
        """A command in the application's pod that is spoken with line by line."""
        process = subprocess.Popen(
            self.command("exec", "-i", "deploy/caller", "-c", container, "--", *command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        try:
            yield Session(process)
        finally:
            process.kill()
            process.communicate()

    @contextmanager
    def forwarded(self, target: str, port: int) -> Iterator[int]:
        """A port of this machine that leads to one of a pod."""
        process = subprocess.Popen(self.command("port-forward", target, f":{port}"), stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline().split(" -> ")[0].rpartition(":")[2])
        finally:
            process.kill()
            process.communicate()


class Session:
    """One conversation with a program in a pod."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, line: str) -> tuple[str, float]:
        """The answer's first line and how long it took in seconds; "" when there was none."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        began = time.monotonic()
        self._process.stdin.write(line + "\n")
        ready, _, _ = select.select([self._process.stdout], [], [], WAIT_S)
        return (self._process.stdout.readline().strip() if ready else "", time.monotonic() - began)

    def quickest_s(self) -> float:
        """Of five PINGs to a Redis."""
        asked = [self.ask("PING") for _ in range(5)]
        assert {said for said, _ in asked} == {"PONG"}, asked
        return min(seconds for _, seconds in asked)


def platform(namespace: str) -> list[dict[str, Any]]:
    return [
        *_workload(namespace, "redis", ("redis", REDIS), [{"name": "redis", "image": f"{IMAGES}redis:local"}]),
        *_workload(namespace, "web", ("http", WEB), [_shell("web", "busybox", SERVE)]),
        *_workload(namespace, "toxiproxy", ("api", API), [{"name": "toxiproxy", "image": f"{IMAGES}toxiproxy:local"}]),
        *_workload(namespace, "caller", ("http", 8080), [_shell("caller", "busybox", CALLER), _shell("looper", "redis", LOOPER)]),
    ]


def _shell(name: str, image: str, script: str) -> dict[str, Any]:
    return {"name": name, "image": f"{IMAGES}{image}:local", "command": ["/bin/sh", "-c", script]}


def _workload(namespace: str, name: str, port: tuple[str, int], containers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A Deployment of one pod, and a Service that names its port as the pod does."""
    first = {"ports": [{"name": port[0], "containerPort": port[1]}], "readinessProbe": {"tcpSocket": {"port": port[1]}, "periodSeconds": 1}}
    containers = [one | {"imagePullPolicy": "IfNotPresent"} | (first if one is containers[0] else {}) for one in containers]
    labels = {"app": name}
    metadata = {"name": name, "namespace": namespace}
    template = {"metadata": {"labels": labels}, "spec": {"terminationGracePeriodSeconds": 1, "containers": containers}}
    deployment = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    service = {"selector": labels, "ports": [{"name": port[0], "port": port[1], "targetPort": port[0]}]}
    return [
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": deployment},
        {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": service},
    ]


def described(cluster: Cluster, **roles: dict[str, Any]) -> TargetDescription:
    """The least description with these roles."""
    kubernetes = {"kubeconfig": KUBECONFIG, "context": cluster.context(), "namespace": cluster.namespace}
    content = {"content_id_format": "content-{number}", "content_count": 1, "routes": {}}
    document = {"name": "real", "kubernetes": kubernetes, "gateway_url": "http://127.0.0.1:1", "load": {"engine": "none"}} | content
    return TargetDescription.model_validate(document | {"roles": roles})


def link(toxiproxy_port: int, service: str, **more: Any) -> dict[str, Any]:
    """A link role whose Service is interposed; the proxy listens on a port of its own."""
    exposure = {"workload": "caller", "metric": "calls_total", "labels": {"dependency": "web"}}
    interpose = {"service": service, "port": "redis" if service == "redis" else "http", "proxy_selector": {"app": "toxiproxy"}}
    interpose |= {"proxy_port": 20_000 + (REDIS if service == "redis" else WEB)}
    role = {"kind": "link", "toxiproxy_url": f"http://127.0.0.1:{toxiproxy_port}", "proxy": service, "exposure": exposure}
    peers = more.pop("peers", None)
    return role | {"interpose": interpose | ({"peers": peers} if peers else {})} | more
