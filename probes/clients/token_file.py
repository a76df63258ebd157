"""A bearer token that lies in a file and is replaced there, as the kubelet does with a pod's: the official library reads it once only."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml


def token_file(kubeconfig: Path, context: str) -> Path | None:
    """The file with the token of this context's user, None where it has none. The kubeconfig was loaded before: it is whole."""
    if not kubeconfig.is_file():
        return None
    document = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))
    users = {entry["name"]: entry.get("user") or {} for entry in document.get("users") or ()}
    (chosen,) = [entry["context"] for entry in document["contexts"] if entry["name"] == context]
    user = users.get(chosen.get("user"), {})
    if "token" in user or "tokenFile" not in user:
        return None
    return kubeconfig.parent / str(user["tokenFile"])


def reading_anew(path: Path) -> Callable[[Any], None]:
    """A hook that the library calls whenever it is asked for its credentials. A file that is away for a moment leaves the last token."""

    def refresh(settings: Any) -> None:
        with contextlib.suppress(OSError):
            token = path.read_text(encoding="utf-8").strip()
            if token:
                settings.api_key = dict.fromkeys(settings.api_key, f"Bearer {token}")

    return refresh
