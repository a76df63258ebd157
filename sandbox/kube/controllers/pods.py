"""How controllers make pods from a template and take them away."""

from sandbox.kube.events import Recorder
from sandbox.kube.objects import Object, clone, name_of, namespace_of, owner_reference
from sandbox.kube.registry import DeleteOptions, Registry
from sandbox.kube.resources import PODS


def pod_from_template(owner: Object, template: Object) -> Object:
    """A pod of the owner, still without a name."""
    metadata = clone(template.get("metadata", {}))
    metadata.pop("creationTimestamp", None)
    metadata |= {"namespace": namespace_of(owner), "ownerReferences": [owner_reference(owner)]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": clone(template["spec"])}


def create_pod(registry: Registry, recorder: Recorder, owner: Object, pod: Object) -> None:
    created = registry.create(PODS, namespace_of(owner), pod)
    recorder.normal(owner, "SuccessfulCreate", f"Created pod: {name_of(created)}")


def delete_pod(registry: Registry, recorder: Recorder, owner: Object, pod: Object) -> None:
    registry.delete(PODS, namespace_of(pod), name_of(pod), DeleteOptions())
    recorder.normal(owner, "SuccessfulDelete", f"Deleted pod: {name_of(pod)}")
