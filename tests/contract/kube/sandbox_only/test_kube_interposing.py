"""Services of the sandbox's cluster led through its Toxiproxy and back: Valkey, PostgreSQL and Qdrant, by real connections."""

from __future__ import annotations

import asyncio
import shlex
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any, cast

import asyncpg
import kube_harness
import kube_objects as objects
import pytest
from backends import Sandbox
from redis.asyncio import Redis

from orchestrator.errors import HealFailed, RefusedError, TargetError
from orchestrator.faults.base import Receipt, Surroundings
from orchestrator.faults.kinds import fault_of
from orchestrator.faults.link_latency import LinkLatency, Settings
from orchestrator.faults.replica_failure import ReplicaFailure
from orchestrator.faults.replica_failure import Settings as FreezeSettings
from orchestrator.interposing import interposition as interposition_module
from orchestrator.interposing.interposition import Interposition
from orchestrator.interposing.links import InterposedLink, links_of
from orchestrator.interposing.preparation import Preparation
from orchestrator.ledger import Ledger
from orchestrator.plan import Plan, PlannedFault
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


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
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
        self.preparation = Preparation(self.description, "run-1", self.ledger, CLOCK, self.said.append)

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


Ask = Callable[[], Awaitable[object]]


@asynccontextmanager
async def held(place: Place, name: str) -> AsyncIterator[Ask]:
    """A connection of the application that stays open, for it is busy; each call asks something more on it."""
    lock = asyncio.Lock()
    async with _opened(place, name) as ask:

        async def ask_alone() -> None:
            async with lock:
                await ask()

        async def keep() -> None:
            with suppress(Exception):
                while True:
                    await ask_alone()
                    await asyncio.sleep(0.5)

        keeping = asyncio.create_task(keep())
        try:
            yield ask_alone
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)


@asynccontextmanager
async def _opened(place: Place, name: str) -> AsyncIterator[Ask]:
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

    async def loop() -> None:
        while True:
            with suppress(Exception):
                async with _opened(place, name) as ask:
                    await ask()
            await asyncio.sleep(0.05)

    task = asyncio.create_task(loop())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("name", NAMES)
async def test_new_connections_pass_the_proxy_old_ones_do_not_and_the_way_back_is_exact(place: Place, name: str, tmp_path: Path) -> None:
    stage = stage_of(place, name, tmp_path)
    before, _, _ = await stage.left()
    assert before is not None
    async with held(place, name) as old, AsyncExitStack() as later:
        await old()
        async with application(place, name):
            await stage.preparation.begin([stage.link])
            new = await later.enter_async_context(held(place, name))
            await new()
            await stage.preparation.prove()
        if name != "qdrant":
            assert "1 of" in stage.said[-1], stage.said
            assert "do not pass it" in stage.said[-1]
        else:
            assert "unknown" in stage.said[-1]
        healthy_s = await took_s(new)
        await toxic(stage, there=True)
        assert await took_s(new) >= healthy_s + 0.9 * DELAY_MS / 1000
        assert await took_s(old) < DELAY_MS / 1000
        await toxic(stage, there=False)
        await stage.heal_as_another_process()
        assert await stage.preparation.end() is None
        await old()
    after, upstream, proxy = await stage.left()
    assert after is not None
    assert (after.selector, after.ports, upstream, proxy) == (before.selector, before.ports, None, False)
    async with held(place, name) as again:
        await again()


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


class Killed(BaseException):
    """The process is no more: no handler runs."""


@pytest.mark.parametrize("call", ["create", "ready_addresses", "read", "patch"])
@pytest.mark.parametrize("done", [False, True], ids=["before", "after"])
async def test_a_run_that_is_killed_anywhere_leaves_what_a_receipt_takes_back(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, done: bool
) -> None:
    """The process ends just before, or just after, one of its calls: another one heals with the ledger alone."""
    stage = stage_of(place, "redis", tmp_path)
    before, _, _ = await stage.left()
    one = Interposition(stage.link, stage.description, CLOCK)
    seen = await one.look()
    stage.ledger.open(one.receipt(seen, "run-1"))
    real = getattr(ServiceClient, call)

    async def ends(self: ServiceClient, *arguments: Any, **named: Any) -> None:
        if done:
            await real(self, *arguments, **named)
        raise Killed

    monkeypatch.setattr(ServiceClient, call, ends)
    with pytest.raises(Killed):
        await one.lead(seen, "run-1")
    monkeypatch.undo()
    await one.close()
    for _ in range(2):
        receipts = stage.ledger.open_receipts()
        await stage.heal_as_another_process()
        for receipt in receipts:
            stage.ledger.open(receipt)
    after, upstream, proxy = await stage.left()
    assert before is not None
    assert after is not None
    assert (after.selector, after.ports, upstream, proxy) == (before.selector, before.ports, None, False)


async def test_a_switch_that_lands_after_the_way_back_changes_nothing(place: Place, tmp_path: Path) -> None:
    stage = stage_of(place, "redis", tmp_path)
    one = Interposition(stage.link, stage.description, CLOCK)
    seen = await one.look()
    stage.ledger.open(one.receipt(seen, "run-1"))
    await stage.heal_as_another_process()
    services = ServiceClient(stage.description.cluster)
    with pytest.raises(TargetError):
        await services.patch("redis", seen.switch.there(seen.service.version))
    services.close()
    await one.close()
    after, _, _ = await stage.left()
    assert after is not None
    assert after.selector == {"app": "redis"}


async def test_what_somebody_else_changed_meanwhile_is_not_trampled(place: Place, tmp_path: Path) -> None:
    stage = stage_of(place, "redis", tmp_path)
    await stage.preparation.begin([stage.link])
    services = ServiceClient(stage.description.cluster)
    await services.patch("redis", {"spec": {"selector": {"app": "redis", "shard": "7"}}})
    failed = await stage.preparation.end()
    assert isinstance(failed, HealFailed)
    assert "changed by somebody else" in failed.what
    assert "patch service redis --type=json" in failed.remedy
    assert stage.said[-1] == str(failed)
    shown, upstream, proxy = await stage.left()
    assert shown is not None
    assert (shown.selector, upstream is None, proxy) == ({"app": "redis", "shard": "7"}, False, True)
    # The command for a person does what it says.
    place.kubectl(*_words(failed.remedy))
    shown, _, _ = await stage.left()
    assert shown is not None
    assert (shown.selector, shown.targets) == ({"app": "redis"}, ["http"])
    assert await stage.preparation.end() is None
    services.close()


def _words(remedy: str) -> list[str]:
    words = shlex.split(remedy.partition(" && ")[0])
    return words[3:]


async def test_a_json_patch_that_does_not_come_through_is_followed_by_another_way(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = stage_of(place, "redis", tmp_path)
    before, _, _ = await stage.left()
    await stage.preparation.begin([stage.link])
    real = ServiceClient.patch

    async def no_lists(self: ServiceClient, name: str, change: Any) -> None:
        if isinstance(change, list):
            raise TargetError("415")
        await real(self, name, change)

    monkeypatch.setattr(ServiceClient, "patch", no_lists)
    assert await stage.preparation.end() is None
    after, upstream, proxy = await stage.left()
    assert before is not None
    assert after is not None
    assert (after.selector, after.ports, upstream, proxy) == (before.selector, before.ports, None, False)


async def test_without_traffic_of_the_application_the_run_is_refused_by_name(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interposition_module, "PROVEN_WITHIN_S", 1.0)
    stage = stage_of(place, "redis", tmp_path)
    async with held(place, "redis") as old:
        await old()
        await stage.preparation.begin([stage.link])
        with pytest.raises(
            RefusedError, match="nothing of the application passed proxy redis within 1 s: 1 connections do not come from it"
        ):
            await stage.preparation.prove()
        assert await stage.preparation.end() is None


async def test_a_second_interposition_is_refused_and_names_the_first(place: Place, tmp_path: Path) -> None:
    stage = stage_of(place, "redis", tmp_path)
    await stage.preparation.begin([stage.link])
    (tmp_path / "other").mkdir()
    other = stage_of(place, "redis", tmp_path / "other")
    with pytest.raises(RefusedError, match=r"interposed already .* by run run-1; when that is over: orchestrator heal runs/run-1"):
        await other.preparation.begin([other.link])
    assert await other.preparation.end() is None
    shown, upstream, proxy = await stage.left()
    assert shown is not None
    assert (shown.selector, upstream is None, proxy) == ({"app": "toxiproxy"}, False, True)
    assert await stage.preparation.end() is None


REFUSALS = {
    "no Service nowhere": {"service": "nowhere"},
    "has no port 1": {"port": "1", "other_ports": {"http": 1}},
    "0 pods match app=nobody": {"proxy_selector": {"app": "nobody"}},
    "leads to the pod redis-0 of Toxiproxy already": {"proxy_selector": {"app": "redis"}},
}


@pytest.mark.parametrize("reason", REFUSALS)
async def test_what_cannot_be_interposed_is_refused_by_name(place: Place, tmp_path: Path, reason: str) -> None:
    stage = stage_of(place, "redis", tmp_path, **REFUSALS[reason])
    with pytest.raises(RefusedError, match=reason):
        await stage.preparation.begin([stage.link])
    assert stage.ledger.open_receipts() == []
    assert await stage.preparation.end() is None


async def test_a_link_fault_counts_at_the_proxy_and_is_felt_through_it(place: Place, tmp_path: Path) -> None:
    """Old connections go on working past the proxy, and are no exposure."""
    stage = stage_of(place, "redis", tmp_path)
    async with held(place, "redis") as old:
        await old()
        await stage.preparation.begin([stage.link])
        fault = LinkLatency(
            Surroundings("late", "run-1", stage.description, stage.role, CLOCK), Settings(role="x", hold_s=10, delay_ms=DELAY_MS)
        )
        # What the application counts: its old connection and all.
        fault._link._counted = _many
        receipt = Receipt.model_validate_json((await fault.prepare(Random(1))).model_dump_json())
        await old()
        exposure = await fault.exposure(receipt)
        assert (exposure.count, "1 others do not pass it" in exposure.source) == (0, True)
        async with held(place, "redis") as new:
            await new()
            assert (await fault.exposure(receipt)).count == 1
        await fault.inject(receipt)
        assert (await fault.prove(receipt)).grade == "felt"
        await fault.heal(receipt)
        await fault.close()
        assert await stage.preparation.end() is None


async def _many() -> int:
    return 1000


async def test_a_replica_behind_an_interposed_service_freezes_for_its_application(place: Place, tmp_path: Path) -> None:
    stage = replica_stage(place, tmp_path)
    role = stage.description.roles["x"]
    settings = FreezeSettings(role="x", hold_s=10, mode="freeze")
    planned = PlannedFault(name="freeze", kind="replica_failure", at_s=0, settings=settings)
    links = links_of(cast(Plan, SimpleNamespace(faults=(planned,))), stage.description)
    assert [link.name for link in links] == [f"x {REPLICA}"]
    before, _, _ = await stage.left()
    assert before is not None
    async with application(place, "postgres"):
        await stage.preparation.begin(links)
        await stage.preparation.prove()
    fault = ReplicaFailure(Surroundings("freeze", "run-1", stage.description, role, CLOCK), settings)
    receipt = Receipt.model_validate_json((await fault.prepare(Random(1))).model_dump_json())
    async with _opened(place, "postgres") as ask:
        await ask()
        exposure = await fault.exposure(receipt)
        assert (exposure.count, "by pg_stat_activity" in exposure.source) == (1, True)
    assert (await fault.prove(receipt)).grade == "acknowledged"
    await fault.inject(receipt)
    assert (await fault.prove(receipt)).grade == "felt"
    await fault.heal(receipt)
    assert (await fault.prove(receipt)).grade == "acknowledged"
    await fault.close()
    assert await stage.preparation.end() is None
    after, upstream, proxy = await stage.left()
    assert after is not None
    assert (after.selector, after.ports, upstream, proxy) == (before.selector, before.ports, None, False)


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
