"""The API server as the administrator asks it."""

from __future__ import annotations

import json
import ssl
import urllib.request
from datetime import datetime
from typing import Any

from testbed.layout import Folders

TIMEOUT_S = 5.0
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"


class Api:
    """GET from 127.0.0.1 and this port: the host's, or the server's own inside the control machine."""

    def __init__(self, folders: Folders, port: int) -> None:
        self._base = f"https://127.0.0.1:{port}"
        self._context = ssl.create_default_context(cafile=str(folders.pki / "ca.crt"))
        self._context.load_cert_chain(folders.pki / "admin.crt", folders.pki / "admin.key")

    def get(self, path: str) -> dict[str, Any] | None:
        """The answer, or None while there is none."""
        try:
            with urllib.request.urlopen(f"{self._base}{path}", context=self._context, timeout=TIMEOUT_S) as answer:
                document: dict[str, Any] = json.loads(answer.read())
        except (OSError, ValueError):
            return None
        return document

    def items(self, path: str) -> list[dict[str, Any]]:
        """Of a list; empty while there is no answer."""
        found: list[dict[str, Any]] = (self.get(path) or {}).get("items", [])
        return found

    def ready_nodes(self, since: float = 0.0) -> set[str]:
        """Nodes that are Ready and renewed their lease since then (epoch seconds): a dead one counts as Ready for a while."""
        live = {one["metadata"]["name"] for one in self.items(LEASES) if _epoch(one["spec"]["renewTime"]) >= since}
        return live & {one["metadata"]["name"] for one in self.items("/api/v1/nodes") if _is_ready(one)}


def _epoch(stamp: str) -> float:
    return datetime.fromisoformat(stamp).timestamp()


def _is_ready(node: dict[str, Any]) -> bool:
    return any(one["type"] == "Ready" and one["status"] == "True" for one in node["status"].get("conditions", []))
