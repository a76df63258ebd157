"""The small platform that the tests run, as manifests. `Maker` knows how a cluster starts the workload."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

WORKLOAD = Path(__file__).with_name("kube_workload.py").read_text(encoding="utf-8")
OPT_IN = "chaos.media-gateway/enabled"

Object = dict[str, Any]


def namespace(name: str) -> Object:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {OPT_IN: "true"}}}


def service(app: str, port: int) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": app, "labels": {"app": app}},
        "spec": {"selector": {"app": app}, "ports": [{"name": "http", "port": port, "targetPort": "http"}]},
    }


def config_map(name: str, data: dict[str, str] | None = None, **labels: str) -> Object:
    metadata = {"name": name, "labels": labels}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data or {"key": "1"}}


def budget(app: str, *, least: int) -> Object:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": app},
        "spec": {"minAvailable": least, "selector": {"matchLabels": {"app": app}}},
    }


def workload(kind: str, app: str, replicas: int, template: Object, **more: Any) -> Object:
    """A Deployment, ReplicaSet or StatefulSet."""
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": app, "labels": {"app": app}},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": app}}, "template": template, **more},
    }


@dataclass(frozen=True, slots=True)
class Maker:
    """Pods for one cluster: the interpreter as the container finds it, and the image that has it."""

    interpreter: str
    image: str

    def template(self, app: str, port: int, *arguments: str, **container: Any) -> Object:
        """A pod's template; `container` replaces fields of its container."""
        check = {"httpGet": {"path": "/health", "port": "http"}, "periodSeconds": 1, "failureThreshold": 2}
        main = {
            "name": "main",
            "image": self.image,
            "command": [self.interpreter, "-c", WORKLOAD, *arguments],
            "env": [
                {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
                {"name": "PORT", "value": str(port)},
                {"name": "SETTING", "value": "on $(POD_IP)"},
            ],
            "ports": [{"name": "http", "containerPort": port}],
            "readinessProbe": check,
        }
        spec = {"containers": [main | container], "terminationGracePeriodSeconds": 4}
        return {"metadata": {"labels": {"app": app}}, "spec": spec}

    def pod(self, name: str, port: int, *arguments: str, **container: Any) -> Object:
        """A pod of its own whose app label is its name; SIGKILL follows SIGTERM after 1 s."""
        made = self.template(name, port, *arguments, **container)
        made["metadata"]["name"] = name
        made["spec"]["terminationGracePeriodSeconds"] = 1
        return {"apiVersion": "v1", "kind": "Pod", **made}

    def shell(self, name: str, script: str, **spec: Any) -> Object:
        """A pod that runs one script."""
        main = {"name": "main", "image": self.image, "command": ["/bin/sh", "-c", script]}
        metadata = {"name": name, "labels": {"app": name}}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [main], **spec}}
