"""Command line: python -m sandbox.toxiproxy --host IP --port N [--config proxies.json]."""

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from aiohttp import web

from sandbox.toxiproxy import VERSION, address, body
from sandbox.toxiproxy.api import application
from sandbox.toxiproxy.errors import ApiError
from sandbox.toxiproxy.log import log
from sandbox.toxiproxy.proxies import Proxies

SHUTDOWN_S = 0.1


def main() -> int:
    arguments = parser().parse_args()
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(serve(arguments.host, arguments.port, configuration(arguments.config)))
    except (ApiError, OSError) as error:
        log("ERROR", "cannot start", error=str(error))
        return 1
    return 0


def parser() -> argparse.ArgumentParser:
    words = argparse.ArgumentParser(prog="python -m sandbox.toxiproxy", description="Toxiproxy-compatible fault proxy")
    words.add_argument("--host", default=os.environ.get("POD_IP", "127.0.0.1"), help="address of the API (env POD_IP)")
    words.add_argument("--port", type=int, default=int(os.environ.get("PORT", "8474")), help="port of the API (env PORT)")
    words.add_argument("--config", type=Path, help="proxies to begin with, else the text in env TOXIPROXY_CONFIG_JSON")
    return words


def configuration(path: Path | None) -> bytes:
    """The list [{name, listen, upstream, enabled}] of the first proxies as JSON text. Raises OSError."""
    return path.read_bytes() if path is not None else os.environ.get("TOXIPROXY_CONFIG_JSON", "[]").encode()


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """uvloop's loop where uvloop is installed (it is not on Windows)."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


async def serve(host: str, port: int, config: bytes) -> None:
    """Serve until SIGTERM or SIGINT. Raises ApiError for a configuration that cannot be applied, OSError for the port."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    proxies = Proxies(host)
    _, error = await proxies.populate(body.parse(config))
    if error is not None:
        raise error
    runner = web.AppRunner(application(proxies), access_log=None, shutdown_timeout=SHUTDOWN_S)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    log("INFO", "listening", address=address.join(*runner.addresses[0][:2]), version=VERSION)
    await stop.wait()
    proxies.stop()
    await runner.cleanup()
    log("INFO", "stopped")


if __name__ == "__main__":
    sys.exit(main())
