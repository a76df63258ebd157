"""All controllers of the cluster, started and stopped together."""

from sandbox.kube.controllers.base import Controller
from sandbox.kube.controllers.budgets import BudgetController
from sandbox.kube.controllers.deployment import DeploymentController
from sandbox.kube.controllers.endpoints import EndpointsController
from sandbox.kube.controllers.garbage import GarbageCollector
from sandbox.kube.controllers.namespaces import NamespaceController
from sandbox.kube.controllers.replicaset import ReplicaSetController
from sandbox.kube.controllers.scheduler import Scheduler
from sandbox.kube.controllers.statefulset import StatefulSetController
from sandbox.kube.registry import Registry

_KINDS: tuple[type[Controller], ...] = (
    NamespaceController,
    EndpointsController,
    DeploymentController,
    ReplicaSetController,
    StatefulSetController,
    Scheduler,
    BudgetController,
    GarbageCollector,
)


class ControllerManager:
    def __init__(self, registry: Registry) -> None:
        self._controllers = [kind(registry) for kind in _KINDS]

    def start(self) -> None:
        for controller in self._controllers:
            controller.start()

    def stop(self) -> None:
        for controller in self._controllers:
            controller.stop()
