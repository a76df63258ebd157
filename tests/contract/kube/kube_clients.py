"""The official client's view of the test cluster."""

from dataclasses import dataclass
from typing import Any

import kube_harness
from kube_objects import NAMESPACE
from kubernetes import client


@dataclass
class Kube:
    """The official client's APIs, and the cluster."""

    cluster: kube_harness.RunningCluster
    api: client.ApiClient
    core: client.CoreV1Api
    apps: client.AppsV1Api
    ports: dict[str, int]

    def pods(self, app: str) -> list[Any]:
        return list(self.core.list_namespaced_pod(NAMESPACE, label_selector=f"app={app}").items)

    def ready_pods(self, app: str) -> list[Any]:
        return [pod for pod in self.pods(app) if is_ready(pod)]

    def settle(self, app: str, count: int) -> list[Any]:
        """The pods of the app once there are exactly this many and all are ready."""

        def settled() -> list[Any]:
            pods = self.pods(app)
            return pods if len(pods) == count == sum(map(is_ready, pods)) else []

        return kube_harness.wait_for(settled)

    def pid(self, pod: Any) -> int:
        return int(pod.status.container_statuses[0].container_id.removeprefix("process://"))

    def service_address(self, app: str) -> tuple[str, int]:
        service = self.core.read_namespaced_service(app, NAMESPACE)
        return service.spec.cluster_ip, service.spec.ports[0].port


def is_ready(pod: Any) -> bool:
    return any(entry.type == "Ready" and entry.status == "True" for entry in pod.status.conditions or ())
