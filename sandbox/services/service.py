"""What all services share: the HTTP server, health and metrics, the marks on answers, the orderly stop."""

import asyncio
import gc
import logging
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox.services import log
from sandbox.services.address import Address
from sandbox.services.guard import Guard
from sandbox.services.loss import LossWatch
from sandbox.services.metrics import Metrics
from sandbox.services.store import Store
from sandbox.settings import Settings

VERSION = "1.0.0"


def json_response(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON answer; bytes are taken as JSON already."""
    body = content if isinstance(content, bytes) else orjson.dumps(content)
    return Response(body, status, headers, media_type="application/json")


def error_response(status: int, code: str, message: str, *, retry_after_s: int | None = None) -> Response:
    """An error in the platform's form; `retry_after_s` also as a header."""
    error: dict[str, Any] = {"code": code, "message": message}
    headers = {}
    if retry_after_s is not None:
        error["retry_after"] = retry_after_s
        headers["Retry-After"] = str(retry_after_s)
    return json_response({"error": error}, status, headers)


async def json_body(request: Request) -> dict[str, Any]:
    """The request's JSON object; raises ValueError for anything else."""
    body = orjson.loads(await request.body())
    if not isinstance(body, dict):
        raise ValueError("the body is not a JSON object")
    return body


class Service:
    """A service of the platform: subclasses give the routes, what to start and stop, and when they are ready."""

    name = "service"

    def __init__(self, settings: Settings, address: Address) -> None:
        self.settings = settings
        self.address = address
        self.metrics = Metrics()
        self.log = logging.getLogger(self.name)
        self.store = Store(address.need("redis_url"), settings, self.metrics)
        self.loss = LossWatch(self.store, settings, address.pod_name)
        self.guards: dict[str, Guard] = {}
        self.started_s = time.monotonic()
        self.draining = False
        self._tasks: set[asyncio.Task[None]] = set()

    def routes(self) -> list[Route]:
        """The service's own routes."""
        return []

    def is_ready(self) -> bool:
        """Whether the service has what it cannot live without."""
        return True

    async def start(self) -> None:
        """Starts what runs beside the requests; must not wait for a dependency."""

    async def stop(self) -> None:
        """Gives connections back."""

    def health(self) -> dict[str, Any]:
        """What /health says beside status, version and uptime."""
        return {"circuit_breakers": {name: guard.describe() for name, guard in self.guards.items()}}

    def in_background(self, work: Awaitable[None]) -> None:
        """Runs until the service stops; an error ends the process, for a half-dead service would look healthy."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Future[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self.log.critical("a background task failed", exc_info=error)
            os.kill(os.getpid(), signal.SIGTERM)

    def application(self) -> ASGIApp:
        """The service as an ASGI application."""
        # Routes are tried in their order: those of the many requests come first.
        watched = [
            Route("/health/ready", self._ready),
            Route("/health", self._health),
            Route("/metrics", self._metrics),
        ]
        errors = {Exception: _internal_error}
        return Observed(Starlette(routes=self.routes() + watched, lifespan=self._lifespan, exception_handlers=errors), self)

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        self.in_background(self._attach())
        if self.settings.redis_loss_check_s:
            self.in_background(self.loss.run())
        await self.start()
        # What is here now stays for good: looking for garbage in it again and again costs milliseconds of every request's time.
        gc.freeze()
        self.log.info("started")
        yield
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.stop()
        await self.store.close()
        self.log.info("stopped")

    async def _attach(self) -> None:
        copies = (guard.attach(self.store, ttl_s=self.settings.breaker_copy_ttl_s) for guard in self.guards.values())
        await asyncio.gather(*copies)

    async def _health(self, _: Request) -> Response:
        uptime_s = round(time.monotonic() - self.started_s, 1)
        return json_response({"status": "healthy", "version": VERSION, "uptime_seconds": uptime_s, **self.health()})

    async def _ready(self, _: Request) -> Response:
        ready = self.is_ready() and not self.draining
        return json_response({"ready": ready, "services": self.readiness()}, 200 if ready else 503)

    def readiness(self) -> dict[str, str]:
        """What /health/ready says about the parts."""
        return {self.name: "ready" if self.is_ready() else "not_ready"}

    async def _metrics(self, _: Request) -> Response:
        return Response(self.metrics.text(), media_type="text/plain; version=0.0.4")


async def _internal_error(request: Request, error: Exception) -> Response:
    # Starlette raises the error again after this answer, and the server logs it with its traceback.
    return error_response(500, "INTERNAL_ERROR", f"{request.method} {request.scope['path']} failed: {type(error).__name__}")


class Observed:
    """Counts and times every request, names the pod that answered, closes connections while the pod drains."""

    def __init__(self, application: ASGIApp, service: Service) -> None:
        self._application = application
        self._service = service
        self._pod = service.address.pod_name.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        status, start_s = 500, time.perf_counter()
        metrics = self._service.metrics
        metrics.active += 1

        async def marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                self._mark(message["headers"])
            await send(message)

        try:
            await self._application(scope, receive, marked)
        finally:
            metrics.active -= 1
            path = _template(scope["path"], status)
            metrics.requests.add(scope["method"], path, str(status))
            metrics.durations.observe(time.perf_counter() - start_s, scope["method"], path)

    def _mark(self, headers: list[tuple[bytes, bytes]]) -> None:
        if all(name.lower() != b"x-served-by" for name, _ in headers):
            headers.append((b"x-served-by", self._pod))
        if self._service.draining:
            headers.append((b"connection", b"close"))


def _template(path: str, status: int) -> str:
    """The request path, with ids folded, so that the exposition stays small."""
    if path.startswith("/api/v1/content/"):
        return "/api/v1/content/{id}"
    return "unmatched" if status == 404 else path


class _Server(uvicorn.Server):
    """uvicorn that leaves signals to us: its own handling would end a stopped process by the signal, not with exit 0."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _serve(service: Service) -> None:
    settings, address = service.settings, service.address
    config = uvicorn.Config(
        service.application(),
        host=address.host,
        port=int(address.port),
        http="httptools",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=round(settings.server_keep_alive_s),
        timeout_graceful_shutdown=round(settings.shutdown_s),
    )
    server, loop, draining = _Server(config), asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, draining.set)
    drain = asyncio.create_task(_drain(service, server, draining))
    await server.serve()
    drain.cancel()


async def _drain(service: Service, server: uvicorn.Server, draining: asyncio.Event) -> None:
    await draining.wait()
    service.draining = True
    service.log.info("draining")
    await asyncio.sleep(service.settings.drain_s)
    server.should_exit = True


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def main(kind: type[Service]) -> None:
    """Runs a service until it is told to stop; settings and addresses come from the environment."""
    address = Address.from_environment()
    log.configure(kind.name, address.pod_name)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_build_and_serve(kind, address))
    sys.exit(0)


async def _build_and_serve(kind: type[Service], address: Address) -> None:
    await _serve(kind(Settings.from_environment(os.environ), address))
