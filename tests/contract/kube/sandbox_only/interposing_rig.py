"""Dependencies of the sandbox's cluster behind Services and a Toxiproxy, and an application that uses them by real connections."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import kube_harness
import kube_objects as objects
from backends import Sandbox
from redis.asyncio import Redis

from orchestrator.faults.base import Receipt
from orchestrator.faults.kinds import fault_of
from orchestrator.interposing.links import InterposedLink
from orchestrator.interposing.preparation import Preparation
from orchestrator.ledger import Ledger
from orchestrator.receipts import Receipts
from orchestrator.targets.services import Service, ServiceClient
from orchestrator.targets.toxiproxy import Toxiproxy
from probes.clients.http import HttpClient
from probes.clock import SystemClock
from probes.target import LinkRole, PostgresPeers, ReplicaRole, TargetDescription
from sandbox.data.cache import prepared
from sandbox.postgres import programs
from sandbox.process import unprivileged

CLOCK = SystemClock()
NAMES = ("redis", "postgres", "qdrant")
DELAY_MS = 200
REPLICA = "postgres-1"
MODULES = {"redis": "sandbox.valkey", "postgres": "sandbox.postgres primary", "qdrant": "sandbox.qdrant", "toxiproxy": "sandbox.toxiproxy"}


@dataclass(frozen=True)
class Place:
    """A running cluster with the three dependencies, and the ports of everything."""

    running: kube_harness.RunningCluster
    ports: dict[str, int]

    def kubectl(self, *words: str) -> str:
        return kube_harness.kubectl(Path(self.running.kubeconfig), *words)

    def address(self, service: str) -> str:
        found = self.kubectl("-n", Sandbox.namespace, "get", "service", service, "-o", "jsonpath={.spec.clusterIP}")
        return f"{found}:{self.ports[service]}"


def running_place() -> Iterator[Place]:
    """The cluster with all of it, as long as it is asked for."""
    ports = {name: kube_harness.free_port() for name in (*NAMES, "toxiproxy", *(f"{name}-proxy" for name in NAMES))}
    with tempfile.TemporaryDirectory(prefix="interposing-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        # The servers are not root: a folder of pytest would be closed to them.
        (folder / "kube").mkdir()
        seed = prepared("sandbox", lambda _: None).postgres
        (folder / "qdrant").mkdir()
        data = {
            "postgres": {"POSTGRES_BIN": str(programs.usable(unprivileged(), folder)), "POSTGRES_SEED_DIR": str(seed)},
            "qdrant": {"QDRANT_STORAGE": str(folder / "qdrant")},
        }
        stores = [_store(one, ports[one], data.get(one, {})) for one in MODULES]
        services = [objects.service(one, ports[one]) for one in MODULES]
        # As the platform's replicas: each has a Service of its own.
        services[list(MODULES).index("postgres")]["spec"]["selector"] = {"statefulset.kubernetes.io/pod-name": REPLICA}
        running = kube_harness.start(folder / "kube", [objects.namespace(Sandbox.namespace), *services, *stores])
        yield Place(running, ports)
        running.stop()


def _store(app: str, port: int, environment: dict[str, str]) -> dict[str, Any]:
    container = {
        "name": "main",
        "command": [sys.executable, "-m", *MODULES[app].split()],
        "ports": [{"name": "http", "containerPort": port}],
        "env": [{"name": name, "value": value} for name, value in environment.items()],
        "readinessProbe": {"tcpSocket": {"port": port}, "periodSeconds": 1},
    }
    spec = {"containers": [container], "volumes": [{"name": "data", "emptyDir": {}}], "terminationGracePeriodSeconds": 2}
    template = {"metadata": {"labels": {"app": app}}, "spec": spec}
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": app, "namespace": Sandbox.namespace},
        "spec": {
            "replicas": 2 if app == "postgres" else 1,
            "selector": {"matchLabels": {"app": app}},
            "serviceName": app,
            "template": template,
        },
    }


@dataclass
class Stage:
    """One dependency to interpose, the run's preparation, and what it said."""

    place: Place
    name: str
    description: TargetDescription
    ledger: Ledger
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.preparation = Preparation(self.description, "run-1", Receipts(self.ledger), CLOCK, self.said.append)

    @property
    def role(self) -> LinkRole:
        role = self.description.roles["x"]
        assert isinstance(role, LinkRole)
        return role

    @property
    def proxy(self) -> tuple[str, str]:
        """Where Toxiproxy is, and the name of the proxy."""
        role = self.description.roles["x"]
        assert isinstance(role, LinkRole | ReplicaRole)
        return role.toxiproxy_url, self.name

    @property
    def link(self) -> InterposedLink:
        role = self.role
        assert role.interpose is not None
        return InterposedLink("x", "x", role.toxiproxy_url, role.proxy, role.canary_path, role.interpose)

    async def heal_as_another_process(self) -> None:
        for receipt in self.ledger.open_receipts():
            healer = fault_of(Receipt.model_validate_json(receipt.model_dump_json()), self.description, CLOCK)
            try:
                await healer.heal(receipt)
            finally:
                await healer.close()
            self.ledger.close(receipt)

    async def left(self) -> tuple[Service | None, Service | None, bool]:
        """The Service and the second one as they are, and whether the proxy is there."""
        services, toxiproxy = ServiceClient(self.description.cluster), Toxiproxy(self.proxy[0])
        try:
            shown = [await services.read(one) for one in (self.name, f"{self.name}-chaos-upstream")]
            return shown[0], shown[1], await toxiproxy.exists(self.proxy[1])
        finally:
            services.close()
            await toxiproxy.close()


def stage_of(place: Place, name: str, folder: Path, **interpose: Any) -> Stage:
    """The dependency `name`, reached by the application through its Service."""
    url = {"redis": f"redis://{place.address('redis')}/0", "postgres": f"postgresql://media@{place.address('postgres')}/media_gateway"}
    peers = {"redis": {"kind": "redis", "url": url["redis"]}, "postgres": {"kind": "postgres", "dsn": url["postgres"]}, "qdrant": None}[
        name
    ]
    led = {
        "service": name,
        "port": "http",
        "proxy_selector": {"app": "toxiproxy"},
        "proxy_port": place.ports[f"{name}-proxy"],
        "peers": peers,
    }
    canary = {"canary_path": "/readyz"} if name == "qdrant" else {"canary_url": url[name]}
    exposure = {"workload": "caller", "metric": "calls_total", "labels": {}}
    role = {"kind": "link", "toxiproxy_url": f"http://{place.address('toxiproxy')}", "proxy": name, "exposure": exposure} | canary
    cluster = {"kubeconfig": place.running.kubeconfig, "context": "sandbox", "namespace": Sandbox.namespace}
    rest = {"name": "t", "gateway_url": "http://g", "content_id_format": "c", "content_count": 1, "routes": {}}
    roles = {"x": role | {"interpose": led | interpose}}
    return Stage(place, name, TargetDescription.model_validate(rest | {"kubernetes": cluster, "roles": roles}), Ledger(folder / "ledger"))


def replica_stage(place: Place, folder: Path) -> Stage:
    stage = stage_of(place, "postgres", folder)
    pod = place.kubectl("-n", Sandbox.namespace, "get", "pod", REPLICA, "-o", "jsonpath={.status.podIP}")
    direct = f"postgresql://media@{pod}:{place.ports['postgres']}/media_gateway"
    led = stage.role.interpose
    assert led is not None
    role = ReplicaRole(
        kind="postgres-replica",
        statefulset="postgres",
        primary_dsn=direct,
        replica_dsns={REPLICA: direct},
        toxiproxy_url=stage.role.toxiproxy_url,
        proxies={REPLICA: "postgres"},
        link_dsns={REPLICA: f"postgresql://media@{place.address('postgres')}/media_gateway"},
        interpose={REPLICA: led.model_copy(update={"peers": PostgresPeers(kind="postgres", dsn=direct)})},
    )
    return Stage(place, "postgres", stage.description.model_copy(update={"roles": {"x": role}}), stage.ledger)


Ask = Callable[[], Awaitable[object]]


@asynccontextmanager
async def held(place: Place, name: str) -> AsyncIterator[Ask]:
    """A connection of the application that stays open, for it is busy; each call asks something more on it."""
    lock, over = asyncio.Lock(), asyncio.Event()
    async with opened(place, name) as ask:

        async def ask_alone() -> None:
            async with lock:
                await ask()

        async def keep() -> None:
            with suppress(Exception):
                while not over.is_set():
                    await ask_alone()
                    await asyncio.sleep(0.5)

        keeping = asyncio.create_task(keep())
        try:
            yield ask_alone
        finally:
            over.set()
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)


@asynccontextmanager
async def opened(place: Place, name: str) -> AsyncIterator[Ask]:
    host, _, port = place.address(name).rpartition(":")
    async with AsyncExitStack() as stack:
        if name == "redis":
            redis = Redis(host=host, port=int(port), single_connection_client=True, socket_timeout=5)
            stack.push_async_callback(redis.aclose)
            yield redis.ping
        elif name == "postgres":
            connection = await asyncpg.connect(host=host, port=int(port), user="media", database="media_gateway", timeout=5)
            stack.callback(connection.terminate)
            yield lambda: connection.fetchval("select 1", timeout=5)
        else:
            client = HttpClient(f"http://{host}:{port}")
            stack.push_async_callback(client.close)
            yield lambda: client.request("GET", "/readyz")


async def took_s(ask: Ask) -> float:
    """The quickest of three: a busy machine only adds."""
    times = []
    for _ in range(3):
        began = CLOCK.now()
        await ask()
        times.append(CLOCK.now() - began)
    return min(times)


@asynccontextmanager
async def application(place: Place, name: str) -> AsyncIterator[None]:
    """Asks all the time, each time on a new connection; what fails is its own affair."""

    over = asyncio.Event()

    async def loop() -> None:
        # A client library may take a cancellation for an error of its own, which is suppressed here: the event ends the loop then, too.
        while not over.is_set():
            with suppress(Exception):
                async with opened(place, name) as ask:
                    await ask()
            await asyncio.sleep(0.05)

    task = asyncio.create_task(loop())
    try:
        yield
    finally:
        over.set()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def toxic(stage: Stage, *, there: bool) -> None:
    client = Toxiproxy(stage.role.toxiproxy_url)
    try:
        if there:
            attributes = {"latency": DELAY_MS, "jitter": 0}
            await client.add_toxic(stage.role.proxy, "late", kind="latency", stream="downstream", attributes=attributes)
        else:
            await client.remove_toxic(stage.role.proxy, "late")
    finally:
        await client.close()
