"""Runs one cluster for the tests: `kube_runner.py STATE_DIR PREFIX`, objects as JSON on stdin; SIGTERM stops it.

Says {"kubeconfig", "api_url", "token", "ready_s"} in one JSON line on stdout once all workloads are ready.
"""

import asyncio
import json
import logging
import signal
import sys
import time
from pathlib import Path

from sandbox.kube.cluster import Cluster


async def main() -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    objects = json.load(sys.stdin)
    cluster = Cluster(Path(sys.argv[1]), sys.argv[2])
    started_s = time.monotonic()
    try:
        await cluster.start()
        await cluster.apply(objects)
        await cluster.wait_ready("media-gateway", 20)
        facts = {"kubeconfig": str(cluster.kubeconfig), "api_url": cluster.api_url, "token": cluster.token}
        pids = cluster.pids()
        print(json.dumps({**facts, "pids": pids, "ready_s": time.monotonic() - started_s}), flush=True)
        await stop.wait()
    finally:
        await cluster.stop()


logging.basicConfig(level=logging.WARNING)
asyncio.run(main())
