"""ReplicaSet -> Pods: keeps as many as it should have."""

from sandbox.kube.controllers.base import Controller
from sandbox.kube.controllers.ownership import owned, owner_names
from sandbox.kube.controllers.pods import create_pod, delete_pod, pod_from_template
from sandbox.kube.events import Recorder
from sandbox.kube.objects import Object, is_deleting, name_of, namespace_of, pod_active, pod_ready
from sandbox.kube.registry import Registry
from sandbox.kube.resources import PODS, REPLICA_SETS
from sandbox.kube.store import Change


class ReplicaSetController(Controller):
    def __init__(self, registry: Registry) -> None:
        super().__init__(registry)
        self._recorder = Recorder(registry, "replicaset-controller")

    def start(self) -> None:
        self.store.subscribe(REPLICA_SETS.key, self.on_change)
        self.store.subscribe(PODS.key, self._on_pod)

    def _on_pod(self, change: Change) -> None:
        for name in owner_names(self.registry, REPLICA_SETS, change.object):
            self.enqueue(namespace_of(change.object), name)

    def reconcile(self, namespace: str, name: str) -> None:
        replica_set = self.store.get(REPLICA_SETS.key, namespace, name)
        if replica_set is None:
            return
        pods = [pod for pod in owned(self.registry, replica_set, PODS) if pod_active(pod)]
        if not is_deleting(replica_set):
            self._scale(replica_set, pods)
        self._report(replica_set)

    def _scale(self, replica_set: Object, pods: list[Object]) -> None:
        missing = replica_set["spec"]["replicas"] - len(pods)
        for _ in range(missing):
            pod = pod_from_template(replica_set, replica_set["spec"]["template"])
            pod["metadata"]["generateName"] = name_of(replica_set) + "-"
            create_pod(self.registry, self._recorder, replica_set, pod)
        if missing < 0:
            for pod in sorted(pods, key=_worth)[:-missing]:
                delete_pod(self.registry, self._recorder, replica_set, pod)

    def _report(self, replica_set: Object) -> None:
        pods = [pod for pod in owned(self.registry, replica_set, PODS) if pod_active(pod)]
        ready = sum(pod_ready(pod) for pod in pods)

        def change(draft: Object) -> None:
            status: Object = {
                "replicas": len(pods),
                "fullyLabeledReplicas": len(pods),
                "observedGeneration": draft["metadata"]["generation"],
            }
            if ready:
                status |= {"readyReplicas": ready, "availableReplicas": ready}
            draft["status"] = status

        self.registry.mutate(REPLICA_SETS, namespace_of(replica_set), name_of(replica_set), change)


def _worth(pod: Object) -> tuple[bool, bool, int]:
    """What is scaled away first sorts first: unbound, then not ready, then young (of two of one second, the later)."""
    bound = bool(pod["spec"].get("nodeName"))
    return bound, pod_ready(pod), -_age_order(pod)


def _age_order(pod: Object) -> int:
    return int(pod["metadata"]["creationTimestamp"].translate(_DIGITS_ONLY))


_DIGITS_ONLY = str.maketrans("", "", "-:TZ")
