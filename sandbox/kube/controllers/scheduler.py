"""Binds each new pod to the node with the fewest pods."""

from sandbox.kube.controllers.base import Controller
from sandbox.kube.events import Recorder
from sandbox.kube.objects import Object, name_of
from sandbox.kube.registry import Registry
from sandbox.kube.resources import NODES, PODS
from sandbox.kube.store import Change


class Scheduler(Controller):
    def __init__(self, registry: Registry) -> None:
        super().__init__(registry)
        self._recorder = Recorder(registry, "default-scheduler")

    def start(self) -> None:
        self.store.subscribe(PODS.key, self._on_pod)
        self.store.subscribe(NODES.key, self._on_node)

    def _on_pod(self, change: Change) -> None:
        if change.type == "ADDED":
            self.enqueue_object(change.object)

    def _on_node(self, change: Change) -> None:
        for pod in self.store.list(PODS.key):
            if not pod["spec"].get("nodeName"):
                self.enqueue_object(pod)

    def reconcile(self, namespace: str, name: str) -> None:
        pod = self.store.get(PODS.key, namespace, name)
        if pod is None or pod["spec"].get("nodeName"):
            return
        nodes = self.store.list(NODES.key)
        usable = [name_of(node) for node in nodes if not node["spec"].get("unschedulable")]
        if not usable:
            text = f"0/{len(nodes)} nodes are available: {len(nodes)} node(s) were unschedulable."
            self._recorder.warning(pod, "FailedScheduling", text)
            return
        self._bind(pod, min(usable, key=self._load))

    def _load(self, node: str) -> int:
        return len(self.store.list(PODS.key, predicate=lambda pod: pod["spec"].get("nodeName") == node))

    def _bind(self, pod: Object, node: str) -> None:
        def change(draft: Object) -> None:
            draft["spec"]["nodeName"] = node

        namespace, name = pod["metadata"]["namespace"], name_of(pod)
        self._recorder.normal(pod, "Scheduled", f"Successfully assigned {namespace}/{name} to {node}")
        self.registry.mutate(PODS, namespace, name, change)
