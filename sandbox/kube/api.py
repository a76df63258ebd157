"""The API server: HTTPS on 127.0.0.1, who asks and whether he may, and the way from a request to who answers it."""

import logging
import ssl

from aiohttp import web

from sandbox.kube import discovery, errors
from sandbox.kube.authorization import Attributes, allowed
from sandbox.kube.identity import Identities, User
from sandbox.kube.kubelet import Kubelet
from sandbox.kube.paths import Target, parse
from sandbox.kube.podproxy import PodProxy
from sandbox.kube.registry import Registry
from sandbox.kube.requests import flag, json_answer, selected_name
from sandbox.kube.resources import NAMESPACES
from sandbox.kube.streams import serve_log, serve_watch
from sandbox.kube.verbs import Verbs

log = logging.getLogger(__name__)

_LARGEST_BODY_BYTES = 3 * 1024 * 1024
_VERBS = {"GET": "get", "HEAD": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_HEALTH_PATHS = ("/healthz", "/livez", "/readyz")


class ApiServer:
    def __init__(self, registry: Registry, kubelet: Kubelet, token: str) -> None:
        self._registry = registry
        self._kubelet = kubelet
        self._identities = Identities(registry.store, token)
        self._verbs = Verbs(registry, self._identities)
        self._proxy = PodProxy(registry)
        self._runner: web.AppRunner | None = None

    async def start(self, context: ssl.SSLContext) -> str:
        """Listen on an ephemeral port; gives the URL."""
        app = web.Application(client_max_size=_LARGEST_BODY_BYTES)
        app.router.add_route("*", "/{path:.*}", self._answer)
        # A watch whose client went away has nothing to write and would not notice: cancel its handler.
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=context).start()
        return f"https://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        await self._proxy.close()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        try:
            user = self._identities.of(request.headers.get("Authorization", ""))
            return await self._serve(request, user)
        except errors.ApiError as error:
            return json_answer(error.status(), error.code)
        except web.HTTPRequestEntityTooLarge:
            too_large = errors.ApiError(413, "RequestEntityTooLarge", "the body of the request is too large")
            return json_answer(too_large.status(), too_large.code)
        except Exception as error:  # the edge of the server: one bad request must not look like a hang
            log.exception("%s %s", request.method, request.path)
            return json_answer(errors.ApiError(500, "InternalError", f"Internal error: {error!r}").status(), 500)

    async def _serve(self, request: web.Request, user: User) -> web.StreamResponse:
        path = request.rel_url.raw_path
        if request.method == "GET":
            if path in _HEALTH_PATHS:
                return web.Response(text="ok")
            aggregated = discovery.AGGREGATED_TYPE in request.headers.get("Accept", "")
            document = discovery.document(path, aggregated=aggregated)
            if document is not None:
                is_aggregated = document.get("kind") == "APIGroupDiscoveryList"
                return json_answer(document, 200, discovery.AGGREGATED_TYPE if is_aggregated else "application/json")
        target = parse(path)
        self._authorize(request, user, target)
        return await self._serve_target(request, user, target)

    def _authorize(self, request: web.Request, user: User, target: Target) -> None:
        """Raises ApiError 403."""
        resource, verb = target.resource, _verb(request, target)
        # Of a proxied request the name carries the port.
        name = target.name.split(":")[0] if target.subresource == "proxy" else target.name
        if verb in ("list", "watch"):
            name = selected_name(request)
        # A namespace lies in itself: a Role in it may grant reading it.
        namespace = target.name if resource is NAMESPACES else target.namespace
        asked = Attributes(verb, resource.group, resource.plural, target.subresource, namespace, name)
        if not allowed(self._registry.store, user, asked):
            raise errors.forbidden(resource.plural, resource.group, name, asked.refusal(user))

    async def _serve_target(self, request: web.Request, user: User, target: Target) -> web.StreamResponse:
        if target.subresource == "proxy":
            return await self._proxy.serve(request, target)
        if request.method == "GET":
            if target.subresource == "log":
                return await serve_log(request, self._verbs.current(target), self._kubelet)
            if flag(request, "watch"):
                return await serve_watch(request, target, self._registry.store)
        return await self._verbs.serve(request, user, target)


def _verb(request: web.Request, target: Target) -> str:
    """What RBAC calls this request."""
    if target.name:
        return _VERBS.get(request.method, request.method.lower())
    if request.method == "GET":
        return "watch" if flag(request, "watch") else "list"
    return "deletecollection" if request.method == "DELETE" else _VERBS.get(request.method, request.method.lower())
