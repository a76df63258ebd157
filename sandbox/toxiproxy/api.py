"""The HTTP API of Toxiproxy 2.12, plus /health and /health/ready for a kubelet."""

import uuid
from collections.abc import Awaitable, Callable

import orjson
from aiohttp import web

from sandbox.toxiproxy import VERSION
from sandbox.toxiproxy import body as bodies
from sandbox.toxiproxy.errors import ApiError
from sandbox.toxiproxy.log import log
from sandbox.toxiproxy.proxies import Proxies
from sandbox.toxiproxy.proxy import Proxy

PROXIES = web.AppKey("proxies", Proxies)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def application(proxies: Proxies) -> web.Application:
    app = web.Application(middlewares=[request_id, no_browsers, errors])
    app[PROXIES] = proxies
    one, toxics = "/proxies/{proxy}", "/proxies/{proxy}/toxics"
    app.router.add_get("/proxies", list_proxies)
    app.router.add_post("/proxies", create_proxy)
    app.router.add_post("/populate", populate)
    app.router.add_get(one, show_proxy)
    app.router.add_delete(one, delete_proxy)
    app.router.add_get(toxics, list_toxics)
    app.router.add_post(toxics, create_toxic)
    app.router.add_get(toxics + "/{toxic}", show_toxic)
    app.router.add_delete(toxics + "/{toxic}", delete_toxic)
    for method in ("POST", "PATCH"):
        app.router.add_route(method, one, update_proxy)
        app.router.add_route(method, toxics + "/{toxic}", update_toxic)
    app.router.add_post("/reset", reset)
    app.router.add_get("/version", version)
    app.router.add_get("/metrics", metrics)
    app.router.add_get("/health", health)
    app.router.add_get("/health/ready", health)
    return app


@web.middleware
async def request_id(request: web.Request, handler: Handler) -> web.StreamResponse:
    identity = {"X-Toxiproxy-Request-Id": uuid.uuid4().hex}
    try:
        response = await handler(request)
    except web.HTTPException as answer:
        answer.headers.update(identity)
        raise
    response.headers.update(identity)
    return response


@web.middleware
async def no_browsers(request: web.Request, handler: Handler) -> web.StreamResponse:
    if request.headers.get("User-Agent", "").startswith("Mozilla/"):
        return web.Response(status=403, text="User agent not allowed\n")
    return await handler(request)


@web.middleware
async def errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except ApiError as error:
        log("WARN", "request refused", method=request.method, path=request.path, status=error.status, error=error.message)
        return reply(error_json(error), error.status)


def error_json(error: ApiError) -> dict[str, object]:
    return {"error": error.message, "status": error.status}


def reply(value: object, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(value), status=status, content_type="application/json")


def named_proxy(request: web.Request) -> Proxy:
    return request.app[PROXIES].get(request.match_info["proxy"])


async def list_proxies(request: web.Request) -> web.Response:
    return reply({proxy.name: proxy.as_json() for proxy in request.app[PROXIES].all()})


async def create_proxy(request: web.Request) -> web.Response:
    body = bodies.parse_object(await request.read())
    proxy = await request.app[PROXIES].create(body)
    return reply(proxy.as_json(), 201)


async def populate(request: web.Request) -> web.Response:
    body = bodies.parse(await request.read())
    applied, error = await request.app[PROXIES].populate(body)
    answer: dict[str, object] = {"proxies": [proxy.as_json() for proxy in applied]}
    if error is None:
        return reply(answer, 201)
    return reply(error_json(error) | answer, error.status)


async def show_proxy(request: web.Request) -> web.Response:
    return reply(named_proxy(request).as_json())


async def update_proxy(request: web.Request) -> web.Response:
    name = named_proxy(request).name
    body = bodies.parse_object(await request.read())
    proxy = await request.app[PROXIES].change(name, body)
    return reply(proxy.as_json())


async def delete_proxy(request: web.Request) -> web.Response:
    await request.app[PROXIES].remove(request.match_info["proxy"])
    return web.Response(status=204)


async def list_toxics(request: web.Request) -> web.Response:
    return reply([toxic.as_json() for toxic in named_proxy(request).toxics()])


async def create_toxic(request: web.Request) -> web.Response:
    proxy = named_proxy(request)
    return reply(proxy.add_toxic(bodies.parse_object(await request.read())).as_json())


async def show_toxic(request: web.Request) -> web.Response:
    return reply(named_proxy(request).toxic(request.match_info["toxic"]).as_json())


async def update_toxic(request: web.Request) -> web.Response:
    toxic = named_proxy(request).toxic(request.match_info["toxic"])
    body = bodies.parse_object(await request.read())
    return reply(named_proxy(request).change_toxic(toxic.name, body).as_json())


async def delete_toxic(request: web.Request) -> web.Response:
    named_proxy(request).remove_toxic(request.match_info["toxic"])
    return web.Response(status=204)


async def reset(request: web.Request) -> web.Response:
    await request.app[PROXIES].reset()
    return web.Response(status=204)


async def version(request: web.Request) -> web.Response:
    return reply({"version": VERSION})


async def metrics(request: web.Request) -> web.Response:
    headers = {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
    return web.Response(body=request.app[PROXIES].book.exposition().encode(), headers=headers)


async def health(request: web.Request) -> web.Response:
    return reply({"status": "healthy", "version": VERSION})
