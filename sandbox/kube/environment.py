"""The environment, command and directories of a container's process."""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sandbox.kube.objects import Object, field, labels_of, name_of, namespace_of
from sandbox.kube.process import Command
from sandbox.kube.registry import Registry
from sandbox.kube.resources import CONFIG_MAPS

# All that a pod inherits from the process that runs the cluster; everything else comes from its manifest.
_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "XDG_CACHE_HOME")

_REFERENCE = re.compile(r"\$\$|\$\(([A-Za-z_][\w.-]*)\)")
_KEYED_FIELD = re.compile(r"^metadata\.(labels|annotations)\['([^']+)'\]$")


class ContainerConfigError(Exception):
    """The container cannot be started as its spec stands; the message says why."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where a pod runs: its addresses, and the directory that holds its volumes."""

    pod_ip: str
    host_ip: str
    directory: Path


def command_of(registry: Registry, pod: Object, container: Object, where: Surroundings) -> Command:
    """What to run for a container. Raises ContainerConfigError."""
    variables = dict(_variables(registry, pod, container, where))
    argv = [expand(word, variables) for word in (*container.get("command", ()), *container.get("args", ()))]
    if not argv:
        raise ContainerConfigError(f'container "{container["name"]}" has no command, and images are not run here')
    return Command(argv, variables, container.get("workingDir", "/"))


def make_volumes(pod: Object, directory: Path) -> None:
    """Make a directory for each emptyDir volume of the pod."""
    for path in _volume_paths(pod, directory).values():
        path.mkdir(parents=True, exist_ok=True)


def _volume_paths(pod: Object, directory: Path) -> dict[str, Path]:
    names = [volume["name"] for volume in pod["spec"].get("volumes", ()) if "emptyDir" in volume]
    return {name: directory / "volumes" / name for name in names}


def _variables(registry: Registry, pod: Object, container: Object, where: Surroundings) -> Iterator[tuple[str, str]]:
    known = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    known |= {"POD_NAME": name_of(pod), "POD_NAMESPACE": namespace_of(pod), "POD_IP": where.pod_ip}
    if container.get("ports"):
        known["PORT"] = str(container["ports"][0]["containerPort"])
    for volume, path in _volume_paths(pod, where.directory).items():
        known["VOLUME_" + volume.upper().replace("-", "_")] = str(path)
    for source in container.get("envFrom", ()):
        known |= _config_map(registry, pod, source["configMapRef"]["name"])
    for entry in container.get("env", ()):
        known[entry["name"]] = _value(registry, pod, entry, where, known)
    yield from known.items()


def _value(registry: Registry, pod: Object, entry: Object, where: Surroundings, known: Mapping[str, str]) -> str:
    source = entry.get("valueFrom")
    if source is None:
        return expand(str(entry.get("value", "")), known)
    if "fieldRef" in source:
        return _field(pod, source["fieldRef"]["fieldPath"], where)
    if "configMapKeyRef" in source:
        reference = source["configMapKeyRef"]
        try:
            return _config_map(registry, pod, reference["name"])[reference["key"]]
        except KeyError:
            raise ContainerConfigError(f"couldn't find key {reference['key']} in ConfigMap") from None
    raise ContainerConfigError(f'env "{entry["name"]}": only fieldRef and configMapKeyRef are read')


def _field(pod: Object, path: str, where: Surroundings) -> str:
    if path in ("status.podIP", "status.podIPs"):
        return where.pod_ip
    if path == "status.hostIP":
        return where.host_ip
    if match := _KEYED_FIELD.match(path):
        kind, key = match.groups()
        values = labels_of(pod) if kind == "labels" else pod["metadata"].get("annotations") or {}
        return str(values.get(key, ""))
    value = field(pod, path)
    if value is None:
        raise ContainerConfigError(f"unsupported fieldPath: {path}")
    return str(value)


def _config_map(registry: Registry, pod: Object, name: str) -> dict[str, str]:
    found = registry.store.get(CONFIG_MAPS.key, namespace_of(pod), name)
    if found is None:
        raise ContainerConfigError(f'configmap "{name}" not found')
    return dict(found.get("data") or {})


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Replace $(NAME); $$ stands for $, and a name that is not known stays as written."""

    def replacement(match: re.Match[str]) -> str:
        if match.group(0) == "$$":
            return "$"
        return variables.get(match.group(1), match.group(0))

    return _REFERENCE.sub(replacement, text)
