"""What an interposition changes of a Service, as data: the way before, the way through the proxy, and the patches between them."""

from __future__ import annotations

import json
import shlex
from typing import Any

from pydantic import BaseModel, ConfigDict, JsonValue

from orchestrator.targets.services import Service

Operation = dict[str, Any]


class Way(BaseModel):
    """Where a Service leads: its selector, and the target port of each of its ports, in their order."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    selector: dict[str, str]
    targets: list[int | str]

    def is_of(self, service: Service) -> bool:
        return service.selector == self.selector and service.targets == self.targets


class Switch(BaseModel):
    """All that an interposition writes, and what was there before it: suffices to take it back."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    service: str
    upstream: str
    ports: list[int]
    before: Way
    through: Way
    toxiproxy_url: str
    proxies: list[str]

    def there(self, version: str) -> list[Operation]:
        """The JSON patch that leads the Service to the proxy; refused by the API server unless it is at this version.

        So a patch that lands late, after the way back has written, changes nothing.
        """
        at: Operation = {"op": "test", "path": "/metadata/resourceVersion", "value": version}
        return [at, *_patch(self.ports, self.before, self.through)]

    def back(self) -> list[Operation]:
        """The JSON patch that restores it; refused by the API server unless it is as we left it."""
        return _patch(self.ports, self.through, self.before)

    def merge_back(self, live_ports: list[dict[str, JsonValue]], version: str) -> dict[str, Any]:
        """The same as a merge patch on the object at `version`, where JSON patches do not come through."""
        ports = [port | {"targetPort": target} for port, target in zip(live_ports, self.before.targets, strict=True)]
        dropped = {key: None for key in self.through.selector if key not in self.before.selector}
        return {"metadata": {"resourceVersion": version}, "spec": {"selector": dropped | self.before.selector, "ports": ports}}

    def by_hand(self, *, context: str, namespace: str) -> str:
        """The commands for a person: restore the Service whatever it shows, then take the rest away."""
        kubectl = f"kubectl --context {shlex.quote(context)} -n {namespace}"
        writes = [one for one in self.back() if one["op"] != "test"]
        proxies = "".join(f" && curl -X DELETE {self.toxiproxy_url}/proxies/{name}" for name in self.proxies)
        patch = f"{kubectl} patch service {self.service} --type=json -p {shlex.quote(json.dumps(writes))}"
        return f"{patch}{proxies} && {kubectl} delete service {self.upstream} --ignore-not-found"


def _patch(ports: list[int], seen: Way, wanted: Way) -> list[Operation]:
    tests: list[Operation] = [{"op": "test", "path": "/spec/selector", "value": seen.selector}]
    writes: list[Operation] = [{"op": "replace", "path": "/spec/selector", "value": wanted.selector}]
    for index, (number, now, then) in enumerate(zip(ports, seen.targets, wanted.targets, strict=True)):
        place = f"/spec/ports/{index}"
        tests += [
            {"op": "test", "path": f"{place}/port", "value": number},
            {"op": "test", "path": f"{place}/targetPort", "value": now},
        ]
        writes.append({"op": "replace", "path": f"{place}/targetPort", "value": then})
    return tests + writes
