"""The small platform that the tests run."""

import sys
from pathlib import Path
from typing import Any

NAMESPACE = "media-gateway"
WORKLOAD = str(Path(__file__).with_name("kube_workload.py"))


def namespace() -> dict[str, Any]:
    labels = {"chaos.media-gateway/enabled": "true"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}}


def template(app: str, port: int, *arguments: str) -> dict[str, Any]:
    check = {"httpGet": {"path": "/health", "port": "http"}, "periodSeconds": 1, "failureThreshold": 2}
    container = {
        "name": "main",
        "command": [sys.executable, WORKLOAD, *arguments],
        "env": [
            {"name": "NAMED", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "SETTING", "value": "on $(POD_IP)"},
        ],
        "ports": [{"name": "http", "containerPort": port}],
        "readinessProbe": check,
    }
    volumes = [{"name": "data-dir", "emptyDir": {}}]
    spec = {"containers": [container], "volumes": volumes, "terminationGracePeriodSeconds": 2}
    return {"metadata": {"labels": {"app": app}}, "spec": spec}


def workload(kind: str, app: str, replicas: int, port: int, *arguments: str, **more: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": app, "namespace": NAMESPACE, "labels": {"app": app}},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": app}},
            "template": template(app, port, *arguments),
            **more,
        },
    }


def service(app: str, port: int) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": app, "namespace": NAMESPACE},
        "spec": {"selector": {"app": app}, "ports": [{"name": "http", "port": port, "targetPort": "http"}]},
    }
