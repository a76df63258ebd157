"""The process that a sandbox is: it starts the cluster, applies the platform, keeps the status document, takes all away."""

import asyncio
import logging
import os
import secrets
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from sandbox import flaws
from sandbox.data.cache import Seed, prepared
from sandbox.describe import Place, description
from sandbox.kube.cluster import Cluster, Readiness
from sandbox.platform import Platform, database_url
from sandbox.ports import NAMESPACE, REPLICAS, Addresses
from sandbox.postgres import leftovers, programs
from sandbox.process import start_ticks, unprivileged
from sandbox.settings import Settings
from sandbox.state import SandboxError, StateDirectory, password, write_private

_READY_PATIENCE_S = 60.0
_STATUS_PERIOD_S = 0.5
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Options:
    """What `up` was asked for."""

    name: str
    flaws: tuple[str, ...] = ()
    lifeline: bool = False


@dataclass(frozen=True, slots=True)
class Voice:
    """How the supervisor speaks: a line of progress, and the status document once it is ready."""

    progress: Callable[[str], None]
    ready: Callable[[dict[str, Any]], None]


def supervise(options: Options, voice: Voice) -> None:
    """Run one sandbox until it is told to stop. Raises SandboxError when it cannot come up."""
    settings = _settings(options.flaws)
    state = StateDirectory.of(options.name)
    with state.create():
        _introduce(state)
        _plant_first(state, options.flaws)
        logging.basicConfig(filename=state.log_file, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
        seed = prepared(password(), voice.progress)
        asyncio.run(Sandbox(options, state, settings, voice).run(seed))
        state.remove()


def _introduce(state: StateDirectory) -> None:
    """Write down who we are, so that `down` finds us before we are ready, and ends nobody else."""
    pid = os.getpid()
    facts = {"pid": pid, "start_ticks": start_ticks(pid), "password": password()}
    write_private(state.supervisor_file, orjson.dumps(facts).decode())


def _plant_first(state: StateDirectory, names: tuple[str, ...]) -> None:
    """What is planted from the start; `plant` changes it later."""
    write_private(state.flaws_file, "\n".join(names))


def _settings(names: tuple[str, ...]) -> Settings:
    try:
        return flaws.settings(names)
    except flaws.UnknownFlawError as error:
        raise SandboxError(str(error)) from error


class Sandbox:
    """One sandbox; `run` is its life."""

    def __init__(self, options: Options, state: StateDirectory, settings: Settings, voice: Voice) -> None:
        self._options = options
        self._state = state
        self._settings = settings
        self._voice = voice
        self._addresses = Addresses.chosen()
        self._cluster = Cluster(state.path, self._addresses.prefix)
        self._reported = 0
        self._since = datetime.now(UTC)

    async def run(self, seed: Seed) -> None:
        """Come up, stay until a signal (or the end of stdin, when that is the lifeline), go away without a trace."""
        stop = self._stop_event()
        life = asyncio.create_task(self._live(seed))
        end = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait((life, end), return_when=asyncio.FIRST_COMPLETED)
            if life.done():
                await life
        finally:
            for task in (life, end):
                task.cancel()
            await asyncio.gather(life, end, return_exceptions=True)
            await self._stop()

    def _stop_event(self) -> asyncio.Event:
        stop, loop = asyncio.Event(), asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, stop.set)
        if self._options.lifeline:
            _watch_lifeline(loop, stop)
        return stop

    async def _live(self, seed: Seed) -> None:
        self._voice.progress("starting the cluster")
        await self._cluster.start()
        await self._cluster.apply(self._platform(seed).manifests())
        try:
            await self._cluster.wait_ready(NAMESPACE, _READY_PATIENCE_S, self._report)
        except TimeoutError as error:
            raise SandboxError(f"{error}; the logs are in {self._state.path}") from error
        place = Place(self._cluster.kubeconfig, self._addresses)
        write_private(self._state.target_file, description(place))
        self._voice.ready(self._write_status())
        pids = self._cluster.pids()
        while True:
            await asyncio.sleep(_STATUS_PERIOD_S)
            if pids != (pids := self._cluster.pids()):
                self._write_status()

    def _platform(self, seed: Seed) -> Platform:
        (self._state.volumes / "postgresql").mkdir()
        return Platform(
            addresses=self._addresses,
            settings=self._settings,
            seed=seed.path,
            volumes=self._state.volumes,
            postgres_programs=programs.usable(unprivileged(), self._state.path),
            jwt_secret=secrets.token_urlsafe(32),
        )

    def _report(self, readiness: Readiness) -> None:
        if readiness.ready != self._reported:
            self._reported = readiness.ready
            self._voice.progress(f"{readiness.ready} of {readiness.desired} pods ready")

    def _write_status(self) -> dict[str, Any]:
        status = self._status()
        write_private(self._state.status_file, orjson.dumps(status, option=orjson.OPT_INDENT_2).decode())
        return status

    def _status(self) -> dict[str, Any]:
        service = self._addresses.service
        return {
            "name": self._state.name,
            "since": self._since.isoformat(timespec="seconds"),
            "flaws": self._state.flaws_file.read_text().split(),
            "pids": {"supervisor": os.getpid(), **self._cluster.pids()},
            "target": str(self._state.target_file),
            "kubeconfig": str(self._cluster.kubeconfig),
            "gateway_url": f"http://{service('api-gateway')}",
            "toxiproxy_url": f"http://{service('toxiproxy')}",
            "redis_url": f"redis://{service('redis')}/0",
            "qdrant_url": f"http://{service('qdrant')}",
            "pubnub_origin": f"http://{service('pubnub')}",
            "postgres": {
                "primary": database_url(str(service("postgresql"))),
                "replicas": [database_url(str(service(name))) for name in REPLICAS],
            },
        }

    async def _stop(self) -> None:
        pids = self._cluster.pids()
        await asyncio.gather(self._cluster.stop(), _stop_databases(pids))
        identity = unprivileged()
        leftovers.sweep(os.getuid() if identity is None else identity.uid)


async def _stop_databases(pids: dict[str, int]) -> None:
    """Stop PostgreSQL at once: told as pods are, it would wait for its clients."""
    for name, pid in pids.items():
        if "postgresql" in name:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGINT)


def _watch_lifeline(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    descriptor = sys.stdin.fileno()

    def look() -> None:
        if not os.read(descriptor, 4096):
            loop.remove_reader(descriptor)
            stop.set()

    try:
        loop.add_reader(descriptor, look)
    except PermissionError as error:
        raise SandboxError("--lifeline needs a pipe or a terminal on standard input") from error
