"""Command line: `python -m sandbox.pubnub --host IP --port N`."""

import argparse
import asyncio
import os
import signal

from aiohttp import web

from sandbox.process import listening_host
from sandbox.pubnub.app import Api, Keys
from sandbox.services.log import configure

# Source: PubNub's documentation, how long a subscribe call without messages is held.
_POLL_TIMEOUT_S = 310.0
_STOP_S = 1.0
# Room for the longest message (32 KiB) in the path, where each of its bytes may take three.
_LINE_BYTES = 128 * 1024


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sandbox.pubnub", description=__doc__)
    parser.add_argument("--host", default=listening_host(os.environ, "127.0.0.1"))
    parser.add_argument("--port", type=int, default=int(os.environ.get("PORT", "8080")))
    parser.add_argument("--poll-timeout-s", type=float, default=_POLL_TIMEOUT_S)
    return parser.parse_args()


async def serve(arguments: argparse.Namespace) -> None:
    """Serve until SIGTERM or SIGINT; open polls are answered first."""
    log = configure("pubnub", os.environ.get("POD_NAME", "pubnub"))
    keys = Keys(
        publish=os.environ.get("PUBNUB_PUBLISH_KEY", "pub-sandbox"),
        subscribe=os.environ.get("PUBNUB_SUBSCRIBE_KEY", "sub-sandbox"),
    )
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    api = Api(keys, poll_timeout_s=arguments.poll_timeout_s)
    # With cancellation a poll ends when its client goes away, not when its time is over.
    server = web.Server(api.handle, handler_cancellation=True, access_log=None, max_line_size=_LINE_BYTES)
    runner = web.ServerRunner(server, shutdown_timeout=_STOP_S)
    await runner.setup()
    await web.TCPSite(runner, arguments.host, arguments.port).start()
    log.info("listening", extra={"host": arguments.host, "port": arguments.port})
    await stop.wait()
    api.close()
    await runner.cleanup()
    log.info("stopped")


if __name__ == "__main__":
    asyncio.run(serve(_arguments()))
