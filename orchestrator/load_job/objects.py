"""The Job and the Secret that make the load in a cluster, as the API server wants them. Pure."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.errors import TargetError
from orchestrator.faults.permissions import LOAD_NAME
from orchestrator.load import wire
from orchestrator.load.order import WorkerOrder
from orchestrator.load.serving import KEY, ORDER
from orchestrator.targets.services import MANAGED, OWNER
from probes.target import JobLoad

SECRET_BYTES = 1024 * 1024
"""Source: Kubernetes, Concepts, Secrets: the data of one is limited to 1 MiB."""
KEPT_AFTER_S = 60
"""So long a Job that ended by itself stays, so that somebody can see why; its pods and its Secret go with it."""
GRACE_S = 5
_FOLDER = "/etc/chaos/load"
_UID = 10001
"""The user of the image, which has a passwd entry for it."""
_COMPONENT = {"app.kubernetes.io/name": LOAD_NAME}


@dataclass(frozen=True, slots=True)
class Owner:
    """The run that makes the load, and after how long the Job ends by itself, whatever became of the run."""

    run_id: str
    ends_after_s: int


def job(load: JobLoad, owner: Owner, secret: str) -> dict[str, Any]:
    """An Indexed Job: a pod for each worker, none started again, none on the nodes that are left out."""
    labels = MANAGED | _COMPONENT | {OWNER: owner.run_id}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": LOAD_NAME, "namespace": load.namespace, "labels": labels},
        "spec": {
            "completionMode": "Indexed",
            "completions": load.workers,
            "parallelism": load.workers,
            # A worker that is started again would begin its arrivals anew: better no load, and the run says so.
            "backoffLimit": 0,
            "activeDeadlineSeconds": owner.ends_after_s,
            "ttlSecondsAfterFinished": KEPT_AFTER_S,
            "template": {"metadata": {"labels": labels}, "spec": _pod(load, secret)},
        },
    }


def _pod(load: JobLoad, secret: str) -> dict[str, Any]:
    spread = {"matchLabels": _COMPONENT}
    spec: dict[str, Any] = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": GRACE_S,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _UID,
            "runAsGroup": _UID,
            "fsGroup": _UID,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "topologySpreadConstraints": [
            {"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": spread}
        ],
        "containers": [_container(load)],
        "volumes": [{"name": "order", "secret": {"secretName": secret, "defaultMode": 0o440}}],
    }
    return spec | ({"affinity": _away_from(load.off_nodes)} if load.off_nodes else {})


def _container(load: JobLoad) -> dict[str, Any]:
    return {
        "name": "worker",
        "image": load.image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "-m", "orchestrator.load", "serve", _FOLDER, str(wire.PORT)],
        "env": [{"name": "PYTHONDONTWRITEBYTECODE", "value": "1"}],
        "ports": [{"name": "lines", "containerPort": wire.PORT}],
        # Why a worker ended is then in its pod's status: the run may not read logs here.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        # No limit of CPU: a generator that is held back lags, and its seconds are worth nothing.
        "resources": {"requests": {"cpu": "200m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}},
        "securityContext": {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [{"name": "order", "mountPath": _FOLDER, "readOnly": True}],
    }


def _away_from(nodes: list[str]) -> dict[str, Any]:
    named = {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "NotIn", "values": nodes}]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [named]}}}


def packed(order: WorkerOrder, key: str) -> dict[str, bytes]:
    """The files that a worker reads: the order with its users' tokens, and the key. Raises TargetError where a Secret cannot hold them."""
    data = {ORDER: gzip.compress(order.model_dump_json().encode()), KEY: key.encode()}
    size = sum(len(value) for value in data.values())
    if size > SECRET_BYTES:
        users = len(order.users.known)
        said = f"the order of the load has {size} bytes with the tokens of {users} users, a Secret may hold {SECRET_BYTES}"
        raise TargetError(f"{said}: let fewer users log in (users.count)")
    return data


def secret(name: str, made: Mapping[str, Any], data: Mapping[str, bytes]) -> dict[str, Any]:
    """A Secret owned by the Job as the API server made it: it goes when that goes."""
    metadata = made["metadata"]
    owned = {"apiVersion": "batch/v1", "kind": "Job", "name": metadata["name"], "uid": metadata["uid"]}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": metadata["namespace"], "labels": metadata["labels"], "ownerReferences": [owned]},
        "data": {file: base64.b64encode(value).decode() for file, value in data.items()},
    }
