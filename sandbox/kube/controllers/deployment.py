"""Deployment -> ReplicaSets: one per template, and a rolling update from one to the next."""

import math
from typing import Any

from sandbox.kube.controllers.base import Controller
from sandbox.kube.controllers.ownership import owned, owner_names
from sandbox.kube.events import Recorder
from sandbox.kube.objects import (
    Object,
    clone,
    is_deleting,
    labels_of,
    merge_conditions,
    name_of,
    namespace_of,
    now,
    owner_reference,
    stable_suffix,
)
from sandbox.kube.registry import DeleteOptions, Registry
from sandbox.kube.resources import DEPLOYMENTS, REPLICA_SETS
from sandbox.kube.store import Change

_HASH = "pod-template-hash"
_REVISION = "deployment.kubernetes.io/revision"


class DeploymentController(Controller):
    def __init__(self, registry: Registry) -> None:
        super().__init__(registry)
        self._recorder = Recorder(registry, "deployment-controller")

    def start(self) -> None:
        self.store.subscribe(DEPLOYMENTS.key, self.on_change)
        self.store.subscribe(REPLICA_SETS.key, self._on_replica_set)

    def _on_replica_set(self, change: Change) -> None:
        for name in owner_names(self.registry, DEPLOYMENTS, change.object):
            self.enqueue(namespace_of(change.object), name)

    def reconcile(self, namespace: str, name: str) -> None:
        deployment = self.store.get(DEPLOYMENTS.key, namespace, name)
        if deployment is None or is_deleting(deployment):
            return
        current = self._current(deployment)
        old = [entry for entry in self._replica_sets(deployment) if name_of(entry) != name_of(current)]
        if not deployment["spec"].get("paused"):
            self._roll(deployment, current, old)
            self._forget_old(deployment, old)
        self._report(deployment, name_of(current))

    def _replica_sets(self, deployment: Object) -> list[Object]:
        return owned(self.registry, deployment, REPLICA_SETS)

    def _current(self, deployment: Object) -> Object:
        """The ReplicaSet of the present template, made if there is none; it carries the highest revision."""
        replica_sets = self._replica_sets(deployment)
        suffix = stable_suffix(deployment["spec"]["template"])
        found = next((entry for entry in replica_sets if labels_of(entry).get(_HASH) == suffix), None)
        newest = max((_revision(entry) for entry in replica_sets), default=0)
        if found is None:
            new = _new_replica_set(deployment, suffix, newest + 1)
            return self.registry.create(REPLICA_SETS, namespace_of(deployment), new)
        if _revision(found) == newest:
            return found
        return self._annotate(found, newest + 1)

    def _annotate(self, replica_set: Object, revision: int) -> Object:
        def change(draft: Object) -> None:
            draft["metadata"].setdefault("annotations", {})[_REVISION] = str(revision)

        namespace, name = namespace_of(replica_set), name_of(replica_set)
        return self.registry.mutate(REPLICA_SETS, namespace, name, change) or replica_set

    def _roll(self, deployment: Object, current: Object, old: list[Object]) -> None:
        """One step towards the present template; each change of a ReplicaSet causes the next step."""
        wanted = deployment["spec"]["replicas"]
        surge, unavailable = _limits(deployment)
        running_old = [entry for entry in old if entry["spec"]["replicas"] or entry["status"].get("replicas")]
        if deployment["spec"]["strategy"]["type"] == "Recreate":
            for entry in running_old:
                self._scale(deployment, entry, 0)
            if not running_old:
                self._scale(deployment, current, wanted)
            return
        if not running_old:
            self._scale(deployment, current, wanted)
            return
        total = sum(entry["spec"]["replicas"] for entry in (current, *old))
        room = max(0, wanted + surge - total)
        self._scale(deployment, current, min(wanted, current["spec"]["replicas"] + room))
        self._shrink_old(deployment, current, running_old, wanted - unavailable)

    def _shrink_old(self, deployment: Object, current: Object, old: list[Object], least: int) -> None:
        """Take old replicas away: those that are not ready at once, ready ones as far as `least` stay available."""
        spare = sum(entry["status"].get("availableReplicas", 0) for entry in (current, *old)) - least
        for entry in old:
            replicas = entry["spec"]["replicas"]
            ready = entry["status"].get("availableReplicas", 0)
            removable = min(replicas, replicas - ready + max(0, spare))
            spare -= max(0, removable - (replicas - ready))
            self._scale(deployment, entry, replicas - removable)

    def _scale(self, deployment: Object, replica_set: Object, replicas: int) -> None:
        before = replica_set["spec"]["replicas"]
        if before == replicas:
            return

        def change(draft: Object) -> None:
            draft["spec"]["replicas"] = replicas

        name = name_of(replica_set)
        self.registry.mutate(REPLICA_SETS, namespace_of(replica_set), name, change)
        direction = "up" if replicas > before else "down"
        text = f"Scaled {direction} replica set {name} from {before} to {replicas}"
        self._recorder.normal(deployment, "ScalingReplicaSet", text)

    def _forget_old(self, deployment: Object, old: list[Object]) -> None:
        idle = [entry for entry in old if not entry["spec"]["replicas"] and not entry["status"].get("replicas")]
        idle.sort(key=_revision)
        for entry in idle[: max(0, len(idle) - deployment["spec"]["revisionHistoryLimit"])]:
            self.registry.delete(REPLICA_SETS, namespace_of(entry), name_of(entry), DeleteOptions())

    def _report(self, deployment: Object, current_name: str) -> None:
        replica_sets = self._replica_sets(deployment)
        current = next(entry for entry in replica_sets if name_of(entry) == current_name)

        def change(draft: Object) -> None:
            draft["metadata"].setdefault("annotations", {})[_REVISION] = str(_revision(current))
            draft["status"] = _status(draft, current, replica_sets)

        self.registry.mutate(DEPLOYMENTS, namespace_of(deployment), name_of(deployment), change)


def _new_replica_set(deployment: Object, suffix: str, revision: int) -> Object:
    template = clone(deployment["spec"]["template"])
    labels = {**(template["metadata"].get("labels") or {}), _HASH: suffix}
    template["metadata"]["labels"] = labels
    selector = clone(deployment["spec"]["selector"])
    selector.setdefault("matchLabels", {})[_HASH] = suffix
    return {
        "apiVersion": REPLICA_SETS.api_version,
        "kind": REPLICA_SETS.kind,
        "metadata": {
            "name": f"{name_of(deployment)}-{suffix}",
            "labels": labels,
            "annotations": {_REVISION: str(revision)},
            "ownerReferences": [owner_reference(deployment)],
        },
        "spec": {"replicas": 0, "selector": selector, "template": template},
    }


def _revision(replica_set: Object) -> int:
    return int((replica_set["metadata"].get("annotations") or {}).get(_REVISION, "0"))


def _limits(deployment: Object) -> tuple[int, int]:
    """maxSurge (rounded up) and maxUnavailable (rounded down) as counts; not both 0."""
    rolling = deployment["spec"]["strategy"].get("rollingUpdate") or {}
    wanted = deployment["spec"]["replicas"]
    surge = math.ceil(_share(rolling.get("maxSurge", "25%"), wanted))
    unavailable = math.floor(_share(rolling.get("maxUnavailable", "25%"), wanted))
    return surge, unavailable if surge or unavailable else 1


def _share(value: Any, wanted: int) -> float:
    if isinstance(value, str) and value.endswith("%"):
        return int(value[:-1]) * wanted / 100
    return int(value)


def _status(deployment: Object, current: Object, replica_sets: list[Object]) -> Object:
    def total(key: str) -> int:
        return sum(entry["status"].get(key, 0) for entry in replica_sets)

    wanted, available = deployment["spec"]["replicas"], total("availableReplicas")
    counts = {
        "replicas": total("replicas"),
        "updatedReplicas": current["status"].get("replicas", 0),
        "readyReplicas": total("readyReplicas"),
        "availableReplicas": available,
        "unavailableReplicas": max(0, sum(entry["spec"]["replicas"] for entry in replica_sets) - available),
    }
    complete = counts["updatedReplicas"] == wanted == available == counts["replicas"]
    enough = available >= wanted - _limits(deployment)[1]
    conditions = _conditions(deployment, name_of(current), complete=complete, enough=enough)
    shown = {key: count for key, count in counts.items() if count}
    return {"observedGeneration": deployment["metadata"]["generation"], **shown, "conditions": conditions}


def _conditions(deployment: Object, replica_set: str, *, complete: bool, enough: bool) -> list[Object]:
    progressing = {
        "type": "Progressing",
        "status": "True",
        "reason": "NewReplicaSetAvailable" if complete else "ReplicaSetUpdated",
        "message": f'ReplicaSet "{replica_set}" {"has successfully progressed" if complete else "is progressing"}.',
    }
    available = {
        "type": "Available",
        "status": "True" if enough else "False",
        "reason": "MinimumReplicasAvailable" if enough else "MinimumReplicasUnavailable",
        "message": f"Deployment {'has' if enough else 'does not have'} minimum availability.",
    }
    old = deployment.get("status", {}).get("conditions")
    merged = merge_conditions(old, [available, progressing])
    before = {entry["type"]: entry for entry in old or ()}
    for entry in merged:
        previous = before.get(entry["type"], {})
        same = all(previous.get(key) == entry[key] for key in ("status", "reason", "message"))
        entry["lastUpdateTime"] = previous["lastUpdateTime"] if same else now()
    return merged
