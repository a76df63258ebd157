"""The HTTP surface: routes, envelopes, and one place where every answer is timed, counted and worded."""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from time import perf_counter
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from sandbox.qdrant import reads, writes
from sandbox.qdrant.collections import Collection, Collections
from sandbox.qdrant.errors import ApiError, not_supported, wrong_input
from sandbox.qdrant.metrics import RestMetrics

VERSION = "1.20.0"
logger = logging.getLogger(__name__)

Json = dict[str, Any]
Answer = Callable[[Request, Json], Any]
_ROOTS = ("collections", "aliases", "cluster", "snapshots", "locks", "issues", "shards", "service", "profiler")


class Api:
    """The routes over one set of open collections."""

    def __init__(self, collections: Collections) -> None:
        self._collections = collections
        self._metrics = RestMetrics()

    def app(self) -> Starlette:
        """The ASGI application; its end closes the shards."""

        @asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncIterator[None]:
            yield
            self._collections.close()

        return Starlette(routes=[*self._plain(), *self._enveloped()], lifespan=lifespan)

    def _plain(self) -> list[Route]:
        health = ("/healthz", "/livez", "/readyz", "/health", "/health/ready")
        return [
            Route("/", _title),
            *(Route(path, _healthy) for path in health),
            Route("/metrics", self._render_metrics),
        ]

    def _enveloped(self) -> list[Route]:
        one, points = "/collections/{name}", "/collections/{name}/points"
        table: list[tuple[str, str, Answer]] = [
            ("GET", "/telemetry", self._telemetry),
            ("GET", "/collections", lambda _, __: {"collections": [{"name": n} for n in self._collections.names()]}),
            ("GET", one, lambda request, _: self._at(request).describe()),
            ("PUT", one, self._create),
            ("DELETE", one, lambda request, _: self._collections.delete(request.path_params["name"])),
            ("GET", f"{one}/exists", lambda request, _: {"exists": request.path_params["name"] in self._collections}),
            ("PUT", f"{one}/index", self._write(writes.create_index)),
            ("DELETE", one + "/index/{field}", self._delete_index),
            ("PUT", points, self._write(writes.upsert)),
            ("POST", points, self._read(reads.retrieve)),
            ("GET", points + "/{id}", self._point),
            ("POST", f"{points}/delete", self._write(writes.delete)),
            ("POST", f"{points}/payload", self._write(writes.set_payload)),
            ("PUT", f"{points}/payload", self._write(writes.overwrite_payload)),
            ("POST", f"{points}/payload/delete", self._write(writes.delete_payload)),
            ("POST", f"{points}/payload/clear", self._write(writes.clear_payload)),
            ("POST", f"{points}/query", self._read(reads.query)),
            ("POST", f"{points}/query/batch", self._read(reads.query_batch)),
            ("POST", f"{points}/search", self._read(reads.search)),
            ("POST", f"{points}/scroll", self._read(reads.scroll)),
            ("POST", f"{points}/count", self._read(reads.count)),
        ]
        routes = [Route(path, self._answering(path, answer), methods=[method]) for method, path, answer in table]
        every_method = ["GET", "PUT", "POST", "PATCH", "DELETE"]
        return [*routes, Route("/{path:path}", self._answering("other", _not_served), methods=every_method)]

    def _answering(self, endpoint: str, answer: Answer) -> Callable[[Request], Any]:
        """Wrap an answer into the envelope, count it, and turn refusals into words."""

        async def respond(request: Request) -> Response:
            started_s = perf_counter()
            try:
                body = await _body(request)
                # The engine holds the GIL while it works, so a thread of its own would gain nothing.
                status, content = 200, {"result": answer(request, body), "status": "ok"}
            except ApiError as error:
                status, content = error.status, {"status": {"error": error.message}}
            except Exception as error:
                # The edge of the server: a defect of ours is answered in words too, and logged with its traceback.
                logger.exception("request failed", extra={"endpoint": endpoint})
                status, content = 500, {"status": {"error": f"Service internal error: {error!r}"}}
            duration_s = perf_counter() - started_s
            self._metrics.count(request.method, endpoint, status, duration_s)
            content["time"] = duration_s
            return Response(orjson.dumps(content), status, media_type="application/json")

        return respond

    def _at(self, request: Request) -> Collection:
        return self._collections[request.path_params["name"]]

    def _read(self, read: Callable[[Collection, Json], Any]) -> Answer:
        return lambda request, body: read(self._at(request), body)

    def _write(self, operation: Callable[[Json], Any]) -> Answer:
        return lambda request, body: _written(request, self._at(request).update(operation(body)))

    def _create(self, request: Request, body: Json) -> bool:
        self._collections.create(request.path_params["name"], body)
        return True

    def _delete_index(self, request: Request, _: Json) -> Json:
        return _written(request, self._at(request).update(writes.delete_index(request.path_params["field"])))

    def _point(self, request: Request, _: Json) -> Json:
        return reads.retrieve_one(self._at(request), request.path_params["id"])

    def _telemetry(self, _: Request, __: Json) -> Json:
        app = {"name": "qdrant", "version": VERSION}
        return {"id": "sandbox", "app": app, "collections": {"number_of_collections": len(self._collections.names())}}

    def _render_metrics(self, _: Request) -> Response:
        points = self._collections.points_per_collection()
        return PlainTextResponse(self._metrics.render(version=VERSION, points_per_collection=points))


def _written(request: Request, operation_id: int) -> Json:
    waited = request.query_params.get("wait") == "true"
    return {"operation_id": operation_id, "status": "completed" if waited else "acknowledged"}


async def _body(request: Request) -> Json:
    try:
        raw = await request.body()
        body = orjson.loads(raw) if raw else {}
    except ClientDisconnect as error:
        raise ApiError(499, "the client went away") from error
    except orjson.JSONDecodeError as error:
        raise wrong_input(f"Format error in JSON body: {error}") from error
    if not isinstance(body, dict):
        raise wrong_input("Format error in JSON body: expected an object")
    return body


def _not_served(request: Request, _: Json) -> None:
    root = request.url.path.strip("/").partition("/")[0]
    if root in _ROOTS:
        raise not_supported(f"{request.method} {request.url.path}")
    raise ApiError(404, f"Not found: {request.method} {request.url.path}")


def _title(_: Request) -> Response:
    content = {"title": "qdrant - vector search engine", "version": VERSION, "commit": None}
    return Response(orjson.dumps(content), media_type="application/json")


def _healthy(_: Request) -> Response:
    return PlainTextResponse("healthz check passed")
