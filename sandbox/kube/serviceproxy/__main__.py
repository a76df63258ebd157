"""`python -m sandbox.kube.serviceproxy --kubeconfig PATH`"""

import argparse
import asyncio
import json
import logging
import signal
from pathlib import Path

import uvloop

from sandbox.kube import kubeconfig
from sandbox.kube.serviceproxy.proxy import ServiceProxy
from sandbox.kube.serviceproxy.table import ServiceTable
from sandbox.kube.serviceproxy.watcher import Watcher, session

_SERVICES = "/api/v1/services"
_SLICES = "/apis/discovery.k8s.io/v1/endpointslices"


def report(listening: list[str]) -> None:
    print(json.dumps({"listening": listening}), flush=True)


async def serve(access: kubeconfig.Access) -> None:
    """Relay until SIGTERM."""
    table = ServiceTable()
    proxy = ServiceProxy(table, report)
    async with session(access) as client:
        parts = (
            Watcher(client, _SERVICES, table.services, proxy.changed).run(),
            Watcher(client, _SLICES, table.slices, proxy.changed).run(),
            proxy.run(),
        )
        work = asyncio.gather(*parts)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, work.cancel)
        try:
            await work
        except asyncio.CancelledError:
            return


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m sandbox.kube.serviceproxy", description="Relay Services to pods.")
    parser.add_argument("--kubeconfig", type=Path, required=True)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    uvloop.run(serve(kubeconfig.read(arguments.kubeconfig)))


if __name__ == "__main__":
    main()
