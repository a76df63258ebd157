"""One watch connection: changes of pods with the instant of their arrival."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

from probes.clients.kube_stream import Expired, LineStream
from probes.clients.pods import Pod, pod_of
from probes.clients.unreachable import Unreachable

__all__ = ["Expired", "PodEvent", "Watch"]


@dataclass(frozen=True, slots=True)
class PodEvent:
    """A change that arrived at `t`. `pod` is None for a bookmark, which only moves `version`."""

    t: float
    change: Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]
    version: int
    pod: Pod | None


class Watch(LineStream[PodEvent]):
    """`async with watch: async for event in watch`. The loop ends when the server closes or after `close()`.

    Raises Expired and Unreachable from the iteration.
    """

    def item(self, line: bytes, t: float) -> PodEvent:
        """The event of one line."""
        return _event(self._what, json.loads(line), t)


def _event(what: str, document: dict[str, Any], t: float) -> PodEvent:
    change, content = document["type"], document["object"]
    if change == "ERROR":
        if content.get("code") == 410:
            raise Expired(what)
        raise Unreachable(what, f"watch error {content.get('code')}: {content.get('message')}", status=int(content.get("code") or 0))
    version = int(content["metadata"]["resourceVersion"])
    return PodEvent(t=t, change=change, version=version, pod=None if change == "BOOKMARK" else pod_of(content))
