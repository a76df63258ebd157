"""Values that the API server fills in where an object leaves them out."""

from collections.abc import Callable

from sandbox.kube.objects import Object, random_suffix

_PROBES = ("readinessProbe", "livenessProbe")
_TOKEN_VOLUME = "kube-api-access-"


def apply_defaults(obj: Object) -> None:
    """Fill in the defaults of the object's kind, in place."""
    default = _BY_KIND.get(obj["kind"])
    if default is not None:
        default(obj)


def pod_spec_defaults(spec: Object) -> None:
    """Defaults of a pod's spec, also inside a template."""
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("terminationGracePeriodSeconds", 30)
    spec.setdefault("dnsPolicy", "ClusterFirst")
    spec.setdefault("securityContext", {})
    spec.setdefault("schedulerName", "default-scheduler")
    for container in (*spec.get("initContainers", ()), *spec.get("containers", ())):
        _container_defaults(container)


def _container_defaults(container: Object) -> None:
    container.setdefault("image", "sandbox.invalid/local-process:1")
    container.setdefault("imagePullPolicy", "IfNotPresent")
    container.setdefault("resources", {})
    container.setdefault("terminationMessagePath", "/dev/termination-log")
    container.setdefault("terminationMessagePolicy", "File")
    for port in container.get("ports", ()):
        port.setdefault("protocol", "TCP")
    for kind in _PROBES:
        if kind in container:
            _probe_defaults(container[kind])


def _probe_defaults(probe: Object) -> None:
    probe.setdefault("timeoutSeconds", 1)
    probe.setdefault("periodSeconds", 10)
    probe.setdefault("successThreshold", 1)
    probe.setdefault("failureThreshold", 3)
    if "httpGet" in probe:
        probe["httpGet"].setdefault("path", "/")
        probe["httpGet"].setdefault("scheme", "HTTP")


def _pod(obj: Object) -> None:
    pod_spec_defaults(obj["spec"])
    obj["spec"].setdefault("serviceAccountName", "default")
    obj["spec"].setdefault("enableServiceLinks", True)
    _token_volume(obj["spec"])
    if not obj.get("status"):
        obj["status"] = {"phase": "Pending", "qosClass": "BestEffort"}


def _token_volume(spec: Object) -> None:
    """The volume that admission adds to every pod. Nothing is mounted here, but clients count on a pod that has volumes."""
    volumes = spec.setdefault("volumes", [])
    if spec.get("automountServiceAccountToken", True) and not any(volume["name"].startswith(_TOKEN_VOLUME) for volume in volumes):
        token = {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}}
        volumes.append({"name": _TOKEN_VOLUME + random_suffix(), "projected": {"sources": [token], "defaultMode": 420}})


def _template(obj: Object) -> None:
    template = obj["spec"].setdefault("template", {})
    template.setdefault("metadata", {}).setdefault("creationTimestamp", None)
    pod_spec_defaults(template.setdefault("spec", {}))


def _deployment(obj: Object) -> None:
    spec = obj["spec"]
    spec.setdefault("replicas", 1)
    spec.setdefault("revisionHistoryLimit", 10)
    spec.setdefault("progressDeadlineSeconds", 600)
    strategy = spec.setdefault("strategy", {})
    strategy.setdefault("type", "RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxSurge", "25%")
        rolling.setdefault("maxUnavailable", "25%")
    _template(obj)
    obj.setdefault("status", {})


def _replica_set(obj: Object) -> None:
    obj["spec"].setdefault("replicas", 1)
    _template(obj)
    obj.setdefault("status", {"replicas": 0})


def _stateful_set(obj: Object) -> None:
    spec = obj["spec"]
    spec.setdefault("replicas", 1)
    spec.setdefault("serviceName", "")
    spec.setdefault("podManagementPolicy", "OrderedReady")
    spec.setdefault("revisionHistoryLimit", 10)
    strategy = spec.setdefault("updateStrategy", {})
    strategy.setdefault("type", "RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        strategy.setdefault("rollingUpdate", {}).setdefault("partition", 0)
    _template(obj)
    obj.setdefault("status", {"replicas": 0})


def _service(obj: Object) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("type", "ClusterIP")
    spec.setdefault("sessionAffinity", "None")
    spec.setdefault("internalTrafficPolicy", "Cluster")
    spec.setdefault("ipFamilies", ["IPv4"])
    spec.setdefault("ipFamilyPolicy", "SingleStack")
    for port in spec.get("ports", ()):
        port.setdefault("protocol", "TCP")
        port.setdefault("targetPort", port["port"])
    obj.setdefault("status", {"loadBalancer": {}})


def _namespace(obj: Object) -> None:
    labels = obj["metadata"].setdefault("labels", {})
    labels.setdefault("kubernetes.io/metadata.name", obj["metadata"]["name"])
    obj.setdefault("spec", {}).setdefault("finalizers", ["kubernetes"])
    if not obj.get("status"):
        obj["status"] = {"phase": "Active"}


def _node(obj: Object) -> None:
    obj.setdefault("spec", {})
    obj.setdefault("status", {})


def _lease(obj: Object) -> None:
    obj.setdefault("spec", {})


def _budget(obj: Object) -> None:
    obj.setdefault("spec", {})
    obj.setdefault("status", {"disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0})


_BY_KIND: dict[str, Callable[[Object], None]] = {
    "Pod": _pod,
    "Deployment": _deployment,
    "ReplicaSet": _replica_set,
    "StatefulSet": _stateful_set,
    "Service": _service,
    "Namespace": _namespace,
    "Node": _node,
    "Lease": _lease,
    "PodDisruptionBudget": _budget,
}
