"""pods/NAME:PORT/proxy and services/NAME:PORT/proxy: one HTTP request to a pod, by way of the API server."""

from collections.abc import Mapping

import aiohttp
from aiohttp import web
from yarl import URL

from sandbox.kube import errors
from sandbox.kube.objects import Object
from sandbox.kube.paths import Target
from sandbox.kube.registry import Registry
from sandbox.kube.resources import ENDPOINTS, PODS, SERVICES

# Headers that belong to one connection, and those that were meant for the API server.
_NOT_PASSED = frozenset(("connection", "keep-alive", "transfer-encoding", "upgrade", "host", "authorization", "content-length", "te"))
_TIMEOUT = aiohttp.ClientTimeout(total=30, sock_connect=5)


class PodProxy:
    """Forwards requests. Keeps connections to pods open between them."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def serve(self, request: web.Request, target: Target) -> web.StreamResponse:
        """The pod's answer, or 503 with a Status when it cannot be reached. Raises ApiError."""
        url = self._url(request, target)
        body = await request.read()
        try:
            async with self._open_session().request(
                request.method, url, headers=_passed(request.headers), data=body or None, allow_redirects=False
            ) as answer:
                return web.Response(status=answer.status, headers=_passed(answer.headers), body=await answer.read())
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            text = str(error) or type(error).__name__
            raise errors.service_unavailable(f"error trying to reach service: {text}") from None

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=_TIMEOUT, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar())
        return self._session

    def _url(self, request: web.Request, target: Target) -> URL:
        scheme, name, port = _split(target.name)
        if target.resource is SERVICES:
            host, number = self._service_address(target.namespace, name, port)
        else:
            host, number = self._pod_address(target.namespace, name, port)
        query = request.rel_url.raw_query_string
        return URL(f"{scheme}://{host}:{number}{target.tail}" + (f"?{query}" if query else ""), encoded=True)

    def _pod_address(self, namespace: str, name: str, port: str) -> tuple[str, int]:
        pod = self._registry.get(PODS, namespace, name)
        address = pod["status"].get("podIP")
        if not address:
            raise errors.bad_request("address not allowed: the pod has no address yet")
        return address, _pod_port(pod, port)

    def _service_address(self, namespace: str, name: str, port: str) -> tuple[str, int]:
        service = self._registry.get(SERVICES, namespace, name)
        wanted = _service_port(service, port)
        endpoints = self._registry.store.get(ENDPOINTS.key, namespace, name)
        for subset in (endpoints or {}).get("subsets", ()):
            for entry in subset["ports"]:
                if entry["name"] == wanted and subset.get("addresses"):
                    return subset["addresses"][0]["ip"], entry["port"]
        raise errors.service_unavailable(f'no endpoints available for service "{name}"')


def _split(text: str) -> tuple[str, str, str]:
    """[SCHEME:]NAME[:PORT]"""
    parts = text.split(":")
    match parts:
        case [name]:
            return "http", name, ""
        case [name, port]:
            return "http", name, port
        case [scheme, name, port]:
            return scheme or "http", name, port
        case _:
            raise errors.bad_request(f"invalid pod request {text!r}")


def _pod_port(pod: Object, port: str) -> int:
    """A number, or the pod's first port. The real API server resolves no name here either: it breaks the connection."""
    if port.isdigit():
        return int(port)
    if port:
        raise errors.ApiError(500, "InternalError", f"Internal error occurred: invalid port {port!r} of a pod: name it by its number")
    ports = [entry for container in pod["spec"]["containers"] for entry in container.get("ports", ())]
    return int(ports[0]["containerPort"]) if ports else 80


def _service_port(service: Object, port: str) -> str:
    """The name of the Service's port that is meant by a name, a number or nothing."""
    for entry in service["spec"].get("ports", ()):
        if port in ("", entry.get("name"), str(entry["port"])):
            return str(entry.get("name", ""))
    raise errors.service_unavailable(f'no service port "{port}" found for service "{service["metadata"]["name"]}"')


def _passed(headers: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(key, value) for key, value in headers.items() if key.lower() not in _NOT_PASSED]
