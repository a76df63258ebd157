"""StatefulSet -> Pods with fixed names: started in order, taken away from the highest ordinal."""

from sandbox.kube.controllers import revisions
from sandbox.kube.controllers.base import Controller
from sandbox.kube.controllers.ownership import owned, owner_names
from sandbox.kube.controllers.pods import create_pod, delete_pod, pod_from_template
from sandbox.kube.events import Recorder
from sandbox.kube.objects import (
    Object,
    is_deleting,
    labels_of,
    name_of,
    namespace_of,
    pod_active,
    pod_ready,
    stable_suffix,
)
from sandbox.kube.registry import Registry
from sandbox.kube.resources import PODS, STATEFUL_SETS
from sandbox.kube.store import Change

_REVISION = "controller-revision-hash"
_POD_NAME = "statefulset.kubernetes.io/pod-name"
_POD_INDEX = "apps.kubernetes.io/pod-index"


class StatefulSetController(Controller):
    def __init__(self, registry: Registry) -> None:
        super().__init__(registry)
        self._recorder = Recorder(registry, "statefulset-controller")

    def start(self) -> None:
        self.store.subscribe(STATEFUL_SETS.key, self.on_change)
        self.store.subscribe(PODS.key, self._on_pod)

    def _on_pod(self, change: Change) -> None:
        for name in owner_names(self.registry, STATEFUL_SETS, change.object):
            self.enqueue(namespace_of(change.object), name)

    def reconcile(self, namespace: str, name: str) -> None:
        stateful_set = self.store.get(STATEFUL_SETS.key, namespace, name)
        if stateful_set is None:
            return
        if not is_deleting(stateful_set):
            revisions.record(self.registry, stateful_set, _revision(stateful_set))
            self._scale(stateful_set, self._pods(stateful_set))
            revisions.forget_old(self.registry, stateful_set, self._revisions_in_use(stateful_set))
        self._report(stateful_set)

    def _pods(self, stateful_set: Object) -> dict[int, Object]:
        """The set's pods by ordinal."""
        return {_ordinal(pod): pod for pod in owned(self.registry, stateful_set, PODS)}

    def _revisions_in_use(self, stateful_set: Object) -> set[str]:
        return {_revision(stateful_set), *(labels_of(pod).get(_REVISION, "") for pod in self._pods(stateful_set).values())}

    def _scale(self, stateful_set: Object, pods: dict[int, Object]) -> None:
        in_order = stateful_set["spec"]["podManagementPolicy"] == "OrderedReady"
        wanted = range(stateful_set["spec"]["replicas"])
        for ordinal in wanted:
            pod = pods.get(ordinal)
            if pod is None:
                self._create(stateful_set, ordinal)
            elif not is_deleting(pod) and not pod_active(pod):
                delete_pod(self.registry, self._recorder, stateful_set, pod)
            if in_order and (pod is None or is_deleting(pod) or not pod_ready(pod)):
                return
        surplus = sorted((ordinal for ordinal in pods if ordinal not in wanted), reverse=True)
        for ordinal in surplus:
            if not is_deleting(pods[ordinal]):
                delete_pod(self.registry, self._recorder, stateful_set, pods[ordinal])
            if in_order:
                return
        if not surplus:
            self._update(stateful_set, pods)

    def _update(self, stateful_set: Object, pods: dict[int, Object]) -> None:
        """Replace the highest pod of an old template, once all others are ready."""
        strategy = stateful_set["spec"]["updateStrategy"]
        if strategy["type"] != "RollingUpdate" or not all(_settled(pod) for pod in pods.values()):
            return
        partition = (strategy.get("rollingUpdate") or {}).get("partition", 0)
        outdated = [o for o, pod in pods.items() if labels_of(pod).get(_REVISION) != _revision(stateful_set)]
        if outdated and max(outdated) >= partition:
            delete_pod(self.registry, self._recorder, stateful_set, pods[max(outdated)])

    def _create(self, stateful_set: Object, ordinal: int) -> None:
        pod = pod_from_template(stateful_set, stateful_set["spec"]["template"])
        name = f"{name_of(stateful_set)}-{ordinal}"
        pod["metadata"]["name"] = name
        identity = {_REVISION: _revision(stateful_set), _POD_NAME: name, _POD_INDEX: str(ordinal)}
        pod["metadata"]["labels"] = {**(pod["metadata"].get("labels") or {}), **identity}
        pod["spec"] |= {"hostname": name, "subdomain": stateful_set["spec"]["serviceName"]}
        create_pod(self.registry, self._recorder, stateful_set, pod)

    def _report(self, stateful_set: Object) -> None:
        pods = [pod for pod in self._pods(stateful_set).values() if pod_active(pod)]
        revision = _revision(stateful_set)
        updated = sum(labels_of(pod).get(_REVISION) == revision for pod in pods)
        ready = sum(pod_ready(pod) for pod in pods)

        def change(draft: Object) -> None:
            before = draft.get("status", {}).get("currentRevision", revision)
            complete = updated == len(pods)
            draft["status"] = {
                "observedGeneration": draft["metadata"]["generation"],
                "replicas": len(pods),
                "readyReplicas": ready,
                "availableReplicas": ready,
                "updatedReplicas": updated,
                "currentReplicas": updated if complete else len(pods) - updated,
                "currentRevision": revision if complete else before,
                "updateRevision": revision,
                "collisionCount": 0,
            }

        self.registry.mutate(STATEFUL_SETS, namespace_of(stateful_set), name_of(stateful_set), change)


def _ordinal(pod: Object) -> int:
    digits = name_of(pod).rpartition("-")[2]
    return int(digits) if digits.isdigit() else -1


def _revision(stateful_set: Object) -> str:
    return f"{name_of(stateful_set)}-{stable_suffix(stateful_set['spec']['template'])}"


def _settled(pod: Object) -> bool:
    return pod_ready(pod) and not is_deleting(pod)
