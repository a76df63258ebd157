"""Command line: `python -m sandbox.qdrant --host IP --port N --storage DIR [--seed DIR]`."""

import argparse
import os
import shutil
import signal
import sys
from pathlib import Path
from time import perf_counter

import uvicorn

from sandbox.process import listening_host
from sandbox.qdrant.app import Api
from sandbox.qdrant.collections import Collections
from sandbox.services.log import configure

_STOP_S = 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sandbox.qdrant", description=__doc__)
    parser.add_argument("--host", default=listening_host(os.environ, "127.0.0.1"))
    parser.add_argument("--port", type=int, default=int(os.environ.get("PORT", "6333")))
    parser.add_argument("--storage", type=Path, default=os.environ.get("QDRANT_STORAGE"))
    parser.add_argument("--seed", type=Path, default=os.environ.get("QDRANT_SEED_DIR"), help="what an empty storage begins with")
    arguments = parser.parse_args()
    if arguments.storage is None:
        parser.error("--storage or QDRANT_STORAGE must name the storage directory")
    return arguments


def _sow(storage: Path, seed: Path) -> None:
    """A copy of the seed, unless the storage is there; a start that was cut short leaves nothing that counts."""
    if storage.exists():
        return
    fresh = storage.with_name(f"{storage.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    shutil.copytree(seed, fresh)
    fresh.rename(storage)


def main() -> None:
    """Open the storage, then listen: whoever can connect finds every index built."""
    arguments = _arguments()
    # uvicorn stops in an orderly way and then raises the signal again, which must not become exit code -15.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    log = configure("qdrant", os.environ.get("POD_NAME", "qdrant"))
    started_s = perf_counter()
    if arguments.seed is not None:
        _sow(Path(arguments.storage), Path(arguments.seed))
    collections = Collections(Path(arguments.storage))
    opened = {"opened_s": round(perf_counter() - started_s, 3), "points": collections.points_per_collection()}
    log.info("storage is open", extra=opened)
    uvicorn.run(
        Api(collections).app(),
        host=arguments.host,
        port=arguments.port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=_STOP_S,
    )


if __name__ == "__main__":
    main()
