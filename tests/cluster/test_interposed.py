"""A Service led through the real Toxiproxy and back, on a real cluster: what new and old connections feel, and what is left."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from interposed_rig import API, REDIS, Cluster, described, link, platform

from orchestrator.faults.base import Receipt
from orchestrator.faults.kinds import fault_of
from orchestrator.interposing.links import InterposedLink
from orchestrator.interposing.preparation import Preparation
from orchestrator.ledger import Ledger
from orchestrator.targets.toxiproxy import Toxiproxy
from probes.clock import SystemClock
from probes.target import LinkRole, TargetDescription

KUBECONFIG = os.environ.get("CLUSTER_KUBECONFIG", "")
pytestmark = pytest.mark.skipif(not KUBECONFIG, reason="CLUSTER_KUBECONFIG names no cluster")
CLOCK = SystemClock()
DELAY_MS = 400


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    one = Cluster(KUBECONFIG)
    one.kubectl("create", "namespace", one.namespace)
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
        self.preparation = Preparation(description, "run-1", self.ledger, CLOCK, self.said.append)

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
