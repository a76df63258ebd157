"""Service + Pods -> Endpoints and one EndpointSlice."""

from sandbox.kube.controllers.base import Controller
from sandbox.kube.objects import (
    Object,
    is_deleting,
    labels_of,
    name_of,
    namespace_of,
    object_reference,
    owner_reference,
    pod_ready,
    stable_suffix,
    uid_of,
)
from sandbox.kube.resources import ENDPOINT_SLICES, ENDPOINTS, PODS, SERVICES, Resource
from sandbox.kube.selectors import matches
from sandbox.kube.store import Change


class EndpointsController(Controller):
    def start(self) -> None:
        self.store.subscribe(SERVICES.key, self.on_change)
        self.store.subscribe(PODS.key, self._on_pod)

    def _on_pod(self, change: Change) -> None:
        versions = [version for version in (change.object, change.previous) if version is not None]
        for service in self.store.list(SERVICES.key, namespace_of(change.object)):
            if any(_selects(service, version) for version in versions):
                self.enqueue_object(service)

    def reconcile(self, namespace: str, name: str) -> None:
        service = self.store.get(SERVICES.key, namespace, name)
        if service is None:
            self.registry.remove(ENDPOINTS, namespace, name)
            return
        if not service["spec"].get("selector"):
            return
        pods = [pod for pod in self.store.list(PODS.key, namespace) if _selects(service, pod) and _placed(pod)]
        self._write(ENDPOINT_SLICES, _slice(service, pods))
        self._write(ENDPOINTS, _endpoints(service, pods))

    def _write(self, resource: Resource, wanted: Object) -> None:
        namespace, name = namespace_of(wanted), name_of(wanted)
        content = {key: value for key, value in wanted.items() if key not in ("apiVersion", "kind", "metadata")}

        def change(draft: Object) -> None:
            draft.update(content)

        if self.registry.mutate(resource, namespace, name, change) is None:
            self.registry.create(resource, namespace, wanted)


def _selects(service: Object, pod: Object) -> bool:
    selector = service["spec"].get("selector")
    return bool(selector) and matches({"matchLabels": selector}, labels_of(pod))


def _placed(pod: Object) -> bool:
    status = pod["status"]
    return bool(status.get("podIP")) and status.get("phase") not in ("Succeeded", "Failed")


def _ready(service: Object, pod: Object) -> bool:
    return pod_ready(pod) or bool(service["spec"].get("publishNotReadyAddresses"))


def _slice(service: Object, pods: list[Object]) -> Object:
    labels = {
        **labels_of(service),
        "kubernetes.io/service-name": name_of(service),
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
    }
    return {
        "apiVersion": ENDPOINT_SLICES.api_version,
        "kind": ENDPOINT_SLICES.kind,
        "metadata": {
            "name": f"{name_of(service)}-{stable_suffix(uid_of(service), 5)}",
            "namespace": namespace_of(service),
            "labels": labels,
            "ownerReferences": [owner_reference(service)],
        },
        "addressType": "IPv4",
        # As the API server shows an empty list here; release 35 of the official client stumbles over it.
        "endpoints": [_endpoint(service, pod) for pod in pods] or None,
        "ports": _ports(service, pods),
    }


def _endpoint(service: Object, pod: Object) -> Object:
    ready, terminating = _ready(service, pod), is_deleting(pod)
    return {
        "addresses": [pod["status"]["podIP"]],
        "conditions": {"ready": ready and not terminating, "serving": ready, "terminating": terminating},
        "nodeName": pod["spec"]["nodeName"],
        "targetRef": _target(pod),
    }


def _target(pod: Object) -> Object:
    reference = object_reference(pod)
    return {key: reference[key] for key in ("kind", "namespace", "name", "uid")}


def _ports(service: Object, pods: list[Object]) -> list[Object]:
    resolved = []
    for port in service["spec"].get("ports", ()):
        number = _target_port(port["targetPort"], pods)
        if number is not None:
            resolved.append({"name": port.get("name", ""), "port": number, "protocol": port["protocol"]})
    return resolved


def _target_port(target: int | str, pods: list[Object]) -> int | None:
    if isinstance(target, int):
        return target
    for pod in pods:
        for container in pod["spec"]["containers"]:
            for port in container.get("ports", ()):
                if port.get("name") == target:
                    return int(port["containerPort"])
    return None


def _endpoints(service: Object, pods: list[Object]) -> Object:
    staying = [pod for pod in pods if not is_deleting(pod)]
    ports = _ports(service, pods)
    subset: Object = {}
    for key, ready in (("addresses", True), ("notReadyAddresses", False)):
        rows = [_address(pod) for pod in staying if _ready(service, pod) is ready]
        if rows:
            subset[key] = rows
    return {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {
            "name": name_of(service),
            "namespace": namespace_of(service),
            "labels": {**labels_of(service), "endpoints.kubernetes.io/managed-by": "endpoint-controller"},
        },
        "subsets": [{**subset, "ports": ports}] if subset else [],
    }


def _address(pod: Object) -> Object:
    return {"ip": pod["status"]["podIP"], "nodeName": pod["spec"]["nodeName"], "targetRef": _target(pod)}
