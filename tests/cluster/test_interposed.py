"""A Service led through the real Toxiproxy and back, on a real cluster: what new and old connections feel, and what is left."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml
from cluster_rig import KUBECONFIG, until
from interposed_rig import API, REDIS, Cluster, described, link, platform

from orchestrator.errors import HealFailed, RefusedError
from orchestrator.faults.base import Receipt, Surroundings
from orchestrator.faults.kinds import fault_of
from orchestrator.faults.link_latency import LinkLatency, Settings
from orchestrator.interposing import interposition as interposition_module
from orchestrator.interposing.interposition import Interposition
from orchestrator.interposing.links import InterposedLink
from orchestrator.interposing.preparation import Preparation
from orchestrator.ledger import Ledger
from orchestrator.receipts import Receipts
from orchestrator.targets.services import ServiceClient
from orchestrator.targets.toxiproxy import Toxiproxy
from probes.clock import SystemClock
from probes.target import LinkRole, TargetDescription

pytestmark = pytest.mark.skipif(not KUBECONFIG, reason="CLUSTER_KUBECONFIG names no cluster")
CLOCK = SystemClock()
ROOT = Path(__file__).resolve().parents[2]
DELAY_MS = 400


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    one = Cluster("interposed")
    one.kubectl("create", "namespace", one.namespace)
    one.kubectl("label", "namespace", one.namespace, "chaos.media-gateway/enabled=true")
    try:
        one.apply(*platform(one.namespace))
        one.kubectl("wait", "--for=condition=Available", "deployments", "--all", "--timeout=60s")
        yield one
    finally:
        one.kubectl("delete", "namespace", one.namespace, "--wait=false")


@pytest.fixture(scope="module")
def toxiproxy(cluster: Cluster) -> Iterator[int]:
    with cluster.forwarded("deploy/toxiproxy", API) as port:
        yield port


@pytest.fixture(scope="module")
def redis(cluster: Cluster) -> Iterator[int]:
    with cluster.forwarded("deploy/redis", REDIS) as port:
        yield port


class Stage:
    """The preparation of a run with one link, and what it said."""

    def __init__(self, description: TargetDescription, folder: Path) -> None:
        self.description = description
        self.said: list[str] = []
        self.ledger = Ledger(folder / "ledger.jsonl")
        self.preparation = Preparation(description, "run-1", Receipts(self.ledger), CLOCK, self.said.append)

    @property
    def link(self) -> InterposedLink:
        ((name, role),) = self.description.roles.items()
        assert isinstance(role, LinkRole)
        assert role.interpose is not None
        return InterposedLink(name, name, role.toxiproxy_url, role.proxy, role.canary_path, role.interpose)

    async def heal_as_another_process(self) -> None:
        """With nothing but the ledger and the description; then once more, as the run would."""
        for receipt in self.ledger.open_receipts():
            await healed(Receipt.model_validate_json(receipt.model_dump_json()), self.description)
            self.ledger.close(receipt)
        assert await self.preparation.end() is None
        assert self.ledger.open_receipts() == []


async def healed(receipt: Receipt, description: TargetDescription) -> None:
    healer = fault_of(receipt, description, CLOCK)
    try:
        await healer.heal(receipt)
    finally:
        await healer.close()


def spec(cluster: Cluster, service: str) -> Any:
    return cluster.get("service", service)["spec"]


def services(cluster: Cluster) -> set[str]:
    return {one["metadata"]["name"] for one in cluster.get("services")["items"]}


async def proxies(port: int) -> set[str]:
    client = Toxiproxy(f"http://127.0.0.1:{port}")
    try:
        return {name for name in ("redis", "web") if await client.exists(name)}
    finally:
        await client.close()


def redis_stage(cluster: Cluster, toxiproxy: int, redis: int, folder: Path) -> Stage:
    peers = {"kind": "redis", "url": f"redis://127.0.0.1:{redis}/0"}
    role = link(toxiproxy, "redis", canary_url=f"redis://127.0.0.1:{redis}/0", peers=peers)
    return Stage(described(cluster, **{"redis-link": role}), folder)


async def test_new_connections_feel_the_proxy_old_ones_do_not_and_everything_is_as_before(
    cluster: Cluster, toxiproxy: int, redis: int, tmp_path: Path
) -> None:
    stage = redis_stage(cluster, toxiproxy, redis, tmp_path)
    before = cluster.get("service", "redis")
    with cluster.session("redis-cli", "-h", "redis") as old:
        old.quickest_s()
        await led_and_proven(stage)
        assert spec(cluster, "redis")["selector"] == {"app": "toxiproxy"}
        assert any("1 of" in said and "do not pass it (CLIENT LIST)" in said for said in stage.said), stage.said
        with cluster.session("redis-cli", "-h", "redis") as new:
            healthy_s = new.quickest_s()
            await toxic(toxiproxy, there=True)
            assert new.quickest_s() >= healthy_s + 0.9 * DELAY_MS / 1000
            assert old.quickest_s() < healthy_s + 0.5 * DELAY_MS / 1000
            await toxic(toxiproxy, there=False)
        await stage.heal_as_another_process()
        after = cluster.get("service", "redis")
        assert after["spec"] == before["spec"]
        assert after["metadata"].get("annotations") == before["metadata"].get("annotations")
        assert old.quickest_s() < healthy_s + 0.5 * DELAY_MS / 1000
    assert "redis-chaos-upstream" not in services(cluster)
    assert await proxies(toxiproxy) == set()


async def led_and_proven(stage: Stage) -> None:
    await stage.preparation.begin([stage.link])
    await stage.preparation.prove()


async def toxic(port: int, *, there: bool) -> None:
    client = Toxiproxy(f"http://127.0.0.1:{port}")
    try:
        if there:
            await client.add_toxic("redis", "late", kind="latency", stream="downstream", attributes={"latency": DELAY_MS, "jitter": 0})
        else:
            await client.remove_toxic("redis", "late")
    finally:
        await client.close()


async def test_the_real_proxy_counts_a_connection_only_when_it_is_closed_and_so_it_is_closed(
    cluster: Cluster, toxiproxy: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No list of connections, and an application that keeps its one connection: proven all the same, before any fault."""
    monkeypatch.setattr(interposition_module, "CLOSE_EVERY_S", 3.0)
    cluster.kubectl("exec", "deploy/caller", "-c", "looper", "--", "touch", "/tmp/pause")
    role = link(toxiproxy, "redis", canary_url="redis://127.0.0.1:1/0")
    stage = Stage(described(cluster, **{"redis-link": role}), tmp_path)
    try:
        await stage.preparation.begin([stage.link])
        with cluster.session("redis-cli", "-h", "redis") as new:
            new.quickest_s()
            await stage.preparation.prove()
        assert "closed 1 times so that they are counted" in stage.said[-1], stage.said
        assert "unknown" in stage.said[-1]
    finally:
        cluster.kubectl("exec", "deploy/caller", "-c", "looper", "--", "rm", "/tmp/pause")
        assert await stage.preparation.end() is None
    assert spec(cluster, "redis")["selector"] == {"app": "redis"}


async def test_our_own_request_is_not_taken_for_the_applications(
    cluster: Cluster, toxiproxy: int, redis: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real proxy counts it late; nobody else comes."""
    monkeypatch.setattr(interposition_module, "PROVEN_WITHIN_S", 4.0)
    cluster.kubectl("exec", "deploy/caller", "-c", "looper", "--", "touch", "/tmp/pause")
    stage = redis_stage(cluster, toxiproxy, redis, tmp_path)
    try:
        await stage.preparation.begin([stage.link])
        with pytest.raises(RefusedError, match="nothing of the application passed proxy redis"):
            await stage.preparation.prove()
    finally:
        cluster.kubectl("exec", "deploy/caller", "-c", "looper", "--", "rm", "/tmp/pause")
        assert await stage.preparation.end() is None


async def test_a_fault_on_an_interposed_http_link_is_felt_through_the_api_server(cluster: Cluster, toxiproxy: int, tmp_path: Path) -> None:
    """From where no pod has an address; the application's own traffic proves the interposition by its bytes."""
    stage = Stage(described(cluster, **{"web-link": link(toxiproxy, "web", canary_path="/")}), tmp_path)
    before = cluster.get("service", "web")
    await led_and_proven(stage)
    assert "bytes of its own;" in stage.said[-1], stage.said
    around = Surroundings("late", "run-1", stage.description, stage.description.roles["web-link"], CLOCK)
    fault = LinkLatency(around, Settings(role="web-link", hold_s=10, delay_ms=DELAY_MS))
    receipt = Receipt.model_validate_json((await fault.prepare(Random(1))).model_dump_json())
    count = -1
    deadline = CLOCK.now() + 20
    while count <= 0 and CLOCK.now() < deadline:
        count = (await fault.exposure(receipt)).count
        await CLOCK.sleep_until(CLOCK.now() + 0.2)
    assert count > 0
    await fault.inject(receipt)
    proof = await fault.prove(receipt)
    assert proof.grade == "felt", proof
    await fault.heal(receipt)
    assert (await fault.prove(receipt)).grade == "read_back"
    await fault.close()
    assert await stage.preparation.end() is None
    assert cluster.get("service", "web")["spec"] == before["spec"]
    until("the second Service is gone", lambda: "web-chaos-upstream" not in services(cluster))


@pytest.mark.parametrize("call", ["create", "patch"])
async def test_a_run_that_dies_half_way_is_healed_by_its_ledger(
    cluster: Cluster, toxiproxy: int, redis: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """Just after the write: the second Service stands, or the Service is switched, and the run knows neither."""
    stage = redis_stage(cluster, toxiproxy, redis, tmp_path)
    before = cluster.get("service", "redis")
    one = Interposition(stage.link, stage.description, CLOCK)
    seen = await one.look()
    stage.ledger.open(one.receipt(seen, "run-1"))
    real = getattr(ServiceClient, call)

    async def dies(self: ServiceClient, *arguments: Any, **named: Any) -> None:
        await real(self, *arguments, **named)
        raise Killed

    monkeypatch.setattr(ServiceClient, call, dies)
    with pytest.raises(Killed):
        await one.lead(seen, "run-1")
    monkeypatch.undo()
    await one.close()
    assert spec(cluster, "redis")["selector"]["app"] == ("toxiproxy" if call == "patch" else "redis")
    await stage.heal_as_another_process()
    assert cluster.get("service", "redis")["spec"] == before["spec"]
    assert "redis-chaos-upstream" not in services(cluster)
    assert await proxies(toxiproxy) == set()


class Killed(BaseException):
    """The process is no more: no handler runs."""


async def test_somebody_elses_change_is_named_and_not_overwritten(cluster: Cluster, toxiproxy: int, redis: int, tmp_path: Path) -> None:
    stage = redis_stage(cluster, toxiproxy, redis, tmp_path)
    await stage.preparation.begin([stage.link])
    cluster.kubectl("patch", "service", "redis", "-p", '{"spec": {"selector": {"app": "redis", "shard": "7"}}}')
    failed = await stage.preparation.end()
    assert isinstance(failed, HealFailed)
    assert spec(cluster, "redis")["selector"] == {"app": "redis", "shard": "7"}
    # The first of the commands for a person, word for word but for where kubectl is.
    patch = shlex.split(failed.remedy.split(" && ")[0])
    cluster.kubectl(*patch[patch.index("patch") :])
    assert spec(cluster, "redis")["selector"] == {"app": "redis"}
    assert await stage.preparation.end() is None
    assert "redis-chaos-upstream" not in services(cluster)


def experiment(folder: Path) -> Path:
    """The smoke experiment with a slow link instead of its pod kill."""
    document = json.loads((ROOT / "experiments" / "smoke.json").read_text())
    action = document["method"][0]
    arguments = {"role": "web-link", "delay_ms": DELAY_MS, "hold": "6s"}
    action |= {"name": "slow-link", "provider": action["provider"] | {"func": "link_latency", "arguments": arguments}}
    path = folder / "slow-link.json"
    path.write_text(json.dumps(document))
    return path


@contextmanager
def whole_target(cluster: Cluster, toxiproxy: int, folder: Path) -> Iterator[dict[str, str]]:
    """Environment of a run whose users are the outside probe, at the application's own page."""
    with cluster.forwarded("deploy/caller", 8080) as port:
        route = {"method": "GET", "path": "/page.json", "authenticated_ratio": 0, "maximum_ms": 2000}
        document = described(cluster, **{"web-link": link(toxiproxy, "web", canary_path="/")}).model_dump(mode="json")
        document |= {"gateway_url": f"http://127.0.0.1:{port}", "routes": {"search": route}, "workloads": {"caller": "deployments"}}
        target = folder / "real.yaml"
        target.write_text(yaml.safe_dump(document))
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("CHAOS_", "KUBECONFIG"))}
        yield kept | {"CHAOS_TARGET": str(target)}


def command(folder: Path, environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=240, check=False
    )


def test_a_whole_run_plans_interposes_and_restores(cluster: Cluster, toxiproxy: int, tmp_path: Path) -> None:
    before = cluster.get("service", "web")
    file = experiment(tmp_path)
    with whole_target(cluster, toxiproxy, tmp_path) as environment:
        planned = command(tmp_path, environment, "orchestrator", "plan", str(file))
        assert planned.returncode == 0, planned.stdout + planned.stderr
        assert "Service web: selector {'app': 'web'} becomes {'app': 'toxiproxy'}" in planned.stdout
        assert "patch services" in planned.stdout
        ran = command(tmp_path, environment, "chaostoolkit", "--no-version-check", "run", str(file))
    report = json.loads((tmp_path / "runs" / "latest" / "report.json").read_text())
    notes = " / ".join(note["text"] for note in report["notes"])
    for said in ("interposed: Service web", "the application passes proxy web", "no longer interposed: Service web"):
        assert said in notes, (notes, ran.stdout[-3000:], ran.stderr[-3000:])
    (fault,) = report["faults"]
    assert None not in (fault["felt"], fault["healed"]), (fault, ran.stdout[-3000:], ran.stderr[-3000:])
    assert cluster.get("service", "web")["spec"] == before["spec"]
    assert "web-chaos-upstream" not in services(cluster)


def test_a_whole_run_that_is_killed_is_restored_by_its_guardian(cluster: Cluster, toxiproxy: int, tmp_path: Path) -> None:
    before = cluster.get("service", "web")
    file = experiment(tmp_path)
    ledger = tmp_path / "runs" / "latest" / "ledger.jsonl"
    with whole_target(cluster, toxiproxy, tmp_path) as environment, (tmp_path / "said").open("w") as said:
        words = [sys.executable, "-m", "chaostoolkit", "--no-version-check", "run", str(file)]
        run = subprocess.Popen(words, cwd=tmp_path, env=environment, stdout=said, stderr=said)
        try:
            until("the run has interposed", lambda: spec(cluster, "web")["selector"] == {"app": "toxiproxy"})
        finally:
            run.kill()
            run.wait()
        # Once its way back is in the ledger the guardian has nothing more to do.
        until("its guardian has healed", lambda: '"healed"' in ledger.read_text())
    assert cluster.get("service", "web")["spec"] == before["spec"]
    assert "web-chaos-upstream" not in services(cluster)
