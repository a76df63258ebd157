"""The kubeconfig file that clients of the sandbox use."""

import base64
import os
from dataclasses import dataclass
from pathlib import Path

import yaml


@dataclass(frozen=True, slots=True)
class Access:
    """What a client needs to reach the API."""

    api_url: str
    authority: bytes
    token: str


def write(path: Path, access: Access, *, context: str, namespace: str) -> None:
    """Write the file so that only its owner can read it, replacing an older one in one step."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": context,
        "clusters": [{"name": context, "cluster": _cluster(access)}],
        "users": [{"name": context, "user": {"token": access.token}}],
        "contexts": [{"name": context, "context": {"cluster": context, "user": context, "namespace": namespace}}],
    }
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        yaml.safe_dump(document, file, sort_keys=False)
    draft.replace(path)


def _cluster(access: Access) -> dict[str, str]:
    return {"server": access.api_url, "certificate-authority-data": base64.b64encode(access.authority).decode()}


def read(path: Path) -> Access:
    """The access of a kubeconfig's current context."""
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    contexts = {entry["name"]: entry["context"] for entry in document["contexts"]}
    context = contexts[document["current-context"]]
    clusters = {entry["name"]: entry["cluster"] for entry in document["clusters"]}
    users = {entry["name"]: entry["user"] for entry in document["users"]}
    cluster = clusters[context["cluster"]]
    authority = base64.b64decode(cluster["certificate-authority-data"])
    return Access(cluster["server"], authority, users[context["user"]]["token"])
