"""Counters of pods in Prometheus text, as faults read them for exposure."""

from __future__ import annotations

from orchestrator.errors import TargetError
from probes.clients.kube import KubeReader
from probes.clients.pods import Pod
from probes.clients.prometheus import samples
from probes.clients.unreachable import Unreachable
from probes.target import MetricSource


async def pods_of(kube: KubeReader, resource: str, workload: str) -> list[Pod]:
    """The workload's pods by name. Raises TargetError."""
    try:
        selector = (await kube.workload(resource, workload)).selector
        listed = await kube.pods(label_selector=selector.query())
    except Unreachable as error:
        raise TargetError(str(error)) from error
    return sorted(listed.pods, key=lambda pod: pod.name)


async def counted(kube: KubeReader, pods: list[Pod], source: MetricSource) -> int:
    """The counter's sum over the pods that answer. Raises TargetError when none does."""
    total, answered = 0.0, 0
    reason = "it has no ready pod"
    for pod in (pod for pod in pods if pod.ready):
        try:
            answer = await kube.pod_get(pod.name, pod.port(source.port), source.path)
            total += sum(sample.value for sample in samples(answer.body.decode("utf-8", "replace"), source.metric, source.labels))
            answered += 1
        except (Unreachable, ValueError) as error:
            reason = str(error)
    if not answered:
        raise TargetError(f"{source.metric} of {source.workload} could not be read: {reason}")
    return int(total)


def named(source: MetricSource) -> str:
    """The counter for people: requests_total{path="/search"} of discovery-service."""
    labels = ",".join(f'{name}="{value}"' for name, value in source.labels.items())
    return f"{source.metric}{{{labels}}} of {source.workload}" if labels else f"{source.metric} of {source.workload}"
