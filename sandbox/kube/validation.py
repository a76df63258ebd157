"""What the API refuses to store. Raises ApiError 422, with the field and the reason."""

import re
from typing import Any

from sandbox.kube import errors
from sandbox.kube.objects import Object, name_of
from sandbox.kube.resources import RBAC, Resource
from sandbox.kube.selectors import matches

_DNS_SUBDOMAIN = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
_PATH_SEGMENT = re.compile(r"^(?!\.\.?$)[^/%]+$")
"""What roles and their bindings may be called."""
_LABEL_VALUE = re.compile(r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$")
_PERCENT = re.compile(r"^(100|[0-9]{1,2})%$")
_SUBDOMAIN_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', "
    "and must start and end with an alphanumeric character"
)
_WORKLOADS = ("Deployment", "ReplicaSet", "StatefulSet")
_BINDINGS = {"RoleBinding": ("Role", "ClusterRole"), "ClusterRoleBinding": ("ClusterRole",)}
"""Kind -> the kinds that it may bind."""
_SUBJECTS = ("ServiceAccount", "User", "Group")
_MUTABLE_POD_FIELDS = ("activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "nodeName")


def check(resource: Resource, obj: Object) -> None:
    """Refuse an object that no client should be able to store."""
    name = name_of(obj)
    if len(name) > 253 or not (_DNS_SUBDOMAIN.match(name) or (resource.group == RBAC and _PATH_SEGMENT.match(name))):
        raise _invalid(resource, obj, "metadata.name", f'Invalid value: "{name}": {_SUBDOMAIN_RULE}')
    for key, value in (obj["metadata"].get("labels") or {}).items():
        if not isinstance(value, str) or len(value) > 63 or not _LABEL_VALUE.match(value):
            raise _invalid(resource, obj, "metadata.labels", f'Invalid value: "{value}": not a label value ({key})')
    if resource.kind == "Pod":
        _check_pod_spec(resource, obj, obj.get("spec"), "spec")
    elif resource.kind in _WORKLOADS:
        _check_workload(resource, obj)
    elif resource.kind == "Service":
        _check_service(resource, obj)
    elif resource.kind == "PodDisruptionBudget":
        _check_budget(resource, obj)
    elif resource.kind in _BINDINGS:
        _check_binding(resource, obj)


def check_update(resource: Resource, old: Object, new: Object) -> None:
    """Refuse changes of what may not change."""
    if resource.kind == "Pod" and _fixed_pod_spec(old) != _fixed_pod_spec(new):
        why = "Forbidden: pod updates may not change fields other than `spec.containers[*].image`, `spec.tolerations`"
        raise _invalid(resource, new, "spec", why)
    if resource.kind == "Service" and old["spec"]["clusterIP"] != new["spec"]["clusterIP"]:
        raise _invalid(resource, new, "spec.clusterIPs[0]", "Invalid value: may not change once set")
    if resource.kind in _BINDINGS and _reference(old) != _reference(new):
        raise _invalid(resource, new, "roleRef", f"Invalid value: {new.get('roleRef')}: cannot change roleRef")
    if resource.kind in _WORKLOADS and old["spec"]["selector"] != new["spec"].get("selector"):
        raise _invalid(resource, new, "spec.selector", "Invalid value: field is immutable")


def _fixed_pod_spec(pod: Object) -> Object:
    spec = {key: value for key, value in pod["spec"].items() if key not in _MUTABLE_POD_FIELDS}
    for kind in ("initContainers", "containers"):
        spec[kind] = [{**container, "image": ""} for container in spec.get(kind, ())]
    return spec


def _invalid(resource: Resource, obj: Object, field: str, why: str) -> errors.ApiError:
    return errors.invalid(resource.kind, resource.group, name_of(obj), field, why)


def _check_pod_spec(resource: Resource, obj: Object, spec: Any, path: str) -> None:
    if not isinstance(spec, dict) or not spec.get("containers"):
        raise _invalid(resource, obj, f"{path}.containers", "Required value")
    names = [container.get("name") for container in (*spec.get("initContainers", ()), *spec["containers"])]
    if None in names:
        raise _invalid(resource, obj, f"{path}.containers[{names.index(None)}].name", "Required value")
    for name in names:
        if names.count(name) > 1:
            raise _invalid(resource, obj, f"{path}.containers", f'Duplicate value: "{name}"')


def _check_workload(resource: Resource, obj: Object) -> None:
    spec = obj["spec"]
    replicas = spec.get("replicas", 1)
    if not isinstance(replicas, int) or replicas < 0:
        why = f"Invalid value: {replicas}: must be greater than or equal to 0"
        raise _invalid(resource, obj, "spec.replicas", why)
    if not spec.get("selector"):
        raise _invalid(resource, obj, "spec.selector", "Required value")
    labels = spec["template"]["metadata"].get("labels") or {}
    if not matches(spec["selector"], labels):
        why = f"Invalid value: {labels}: `selector` does not match template `labels`"
        raise _invalid(resource, obj, "spec.template.metadata.labels", why)
    _check_pod_spec(resource, obj, spec["template"].get("spec"), "spec.template.spec")


def _check_service(resource: Resource, obj: Object) -> None:
    ports = obj["spec"].get("ports", ())
    if not ports and obj["spec"].get("clusterIP") != "None":
        raise _invalid(resource, obj, "spec.ports", "Required value")
    if len(ports) > 1 and not all(port.get("name") for port in ports):
        raise _invalid(resource, obj, "spec.ports.name", "Required value")


def _check_budget(resource: Resource, obj: Object) -> None:
    wanted = {key: obj["spec"][key] for key in ("minAvailable", "maxUnavailable") if obj["spec"].get(key) is not None}
    if len(wanted) > 1:
        why = f"Invalid value: {wanted}: minAvailable and maxUnavailable cannot be both set"
        raise _invalid(resource, obj, "spec", why)
    for key, value in wanted.items():
        if not (_PERCENT.match(value) if isinstance(value, str) else value >= 0):
            raise _invalid(resource, obj, f"spec.{key}", f'Invalid value: "{value}": a count or a percentage such as "50%"')


def _check_binding(resource: Resource, obj: Object) -> None:
    kind, name = _reference(obj)
    if kind not in _BINDINGS[resource.kind]:
        raise _invalid(resource, obj, "roleRef.kind", f'Unsupported value: "{kind}"')
    if not name:
        raise _invalid(resource, obj, "roleRef.name", "Required value")
    for number, subject in enumerate(obj.get("subjects") or ()):
        if subject.get("kind") not in _SUBJECTS:
            raise _invalid(resource, obj, f"subjects[{number}].kind", f'Unsupported value: "{subject.get("kind", "")}"')
        if not subject.get("name"):
            raise _invalid(resource, obj, f"subjects[{number}].name", "Required value")
        if subject["kind"] == "ServiceAccount" and resource.kind == "ClusterRoleBinding" and not subject.get("namespace"):
            raise _invalid(resource, obj, f"subjects[{number}].namespace", "Required value")


def _reference(binding: Object) -> tuple[str, str]:
    """Kind and name of the role that is bound."""
    reference = binding.get("roleRef") or {}
    return str(reference.get("kind", "")), str(reference.get("name", ""))
