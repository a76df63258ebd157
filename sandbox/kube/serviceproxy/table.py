"""Which addresses to listen on and where each leads, from Services and EndpointSlices."""

from typing import Any

from sandbox.kube.serviceproxy.relay import Address

Object = dict[str, Any]
Routes = dict[Address, list[Address]]


class ServiceTable:
    """The last known Services and EndpointSlices, by uid."""

    def __init__(self) -> None:
        self.services: dict[str, Object] = {}
        self.slices: dict[str, Object] = {}

    def routes(self) -> Routes:
        """Service address -> addresses of ready endpoints. Headless Services and those with none ready are left out."""
        slices: dict[tuple[str, str], list[Object]] = {}
        for entry in self.slices.values():
            metadata = entry["metadata"]
            owner = (metadata["namespace"], metadata.get("labels", {}).get("kubernetes.io/service-name", ""))
            slices.setdefault(owner, []).append(entry)
        routes: Routes = {}
        for service in self.services.values():
            spec, metadata = service["spec"], service["metadata"]
            if spec.get("clusterIP") in (None, "", "None"):
                continue
            own = slices.get((metadata["namespace"], metadata["name"]), [])
            for port in spec.get("ports", ()):
                ready = _ready(own, port.get("name", ""))
                if ready:
                    routes[spec["clusterIP"], port["port"]] = ready
        return routes


def _ready(slices: list[Object], port_name: str) -> list[Address]:
    return [
        (endpoint["addresses"][0], port["port"])
        for entry in slices
        for port in entry.get("ports") or ()
        if port.get("name", "") == port_name
        for endpoint in entry.get("endpoints") or ()
        if endpoint.get("conditions", {}).get("ready")
    ]
