"""A pod's status as the kubelet reports it."""

from collections.abc import Sequence

from sandbox.kube.container import Container
from sandbox.kube.objects import Object, merge_conditions


def pod_status(pod: Object, view: Object, init: Sequence[Container], containers: Sequence[Container]) -> Object:
    """The whole status; `view` holds phase, addresses and start time."""
    phase = view["phase"]
    conditions = merge_conditions(pod["status"].get("conditions"), _conditions(phase, init, containers))
    status: Object = {**view, "conditions": conditions, "qosClass": "BestEffort"}
    if init:
        status["initContainerStatuses"] = [_container_status(container) for container in init]
    status["containerStatuses"] = [_container_status(container) for container in containers]
    return status


def _conditions(phase: str, init: Sequence[Container], containers: Sequence[Container]) -> list[Object]:
    initialised = all(_succeeded(container) for container in init)
    unready = [container.name for container in containers if not container.ready]
    if phase == "Succeeded":
        not_ready: Object = {"reason": "PodCompleted"}
    else:
        names = " ".join(unready)
        not_ready = {"reason": "ContainersNotReady", "message": f"containers with unready status: [{names}]"}
    ready = not unready and initialised
    return [
        _condition("PodReadyToStartContainers", True, {}),
        _condition("Initialized", initialised, {"reason": "ContainersNotInitialized"}),
        _condition("Ready", ready, not_ready),
        _condition("ContainersReady", ready, not_ready),
        _condition("PodScheduled", True, {}),
    ]


def _condition(kind: str, value: bool, otherwise: Object) -> Object:
    return {"type": kind, "status": "True" if value else "False", "lastProbeTime": None, **({} if value else otherwise)}


def _succeeded(container: Container) -> bool:
    return bool(container.state.get("terminated", {}).get("exitCode") == 0)


def _container_status(container: Container) -> Object:
    return {
        "name": container.name,
        "image": container.spec["image"],
        "imageID": "",
        "containerID": container.container_id,
        "ready": container.ready,
        "started": "running" in container.state,
        "restartCount": container.restart_count,
        "state": container.state,
        "lastState": container.last_state,
    }
