"""The mirrored ledger on whichever API server: each case is one sentence about it. The sandbox and a real cluster run them all."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator.errors import TargetError
from orchestrator.faults.base import Receipt
from orchestrator.ledger import Ledger
from orchestrator.ledger_mirror import LedgerMirror
from orchestrator.leftovers import mirrored_leftovers
from orchestrator.mirrored_heal import heal_mirrored
from orchestrator.target_lease import TargetLease
from orchestrator.targets.kube import KubeWriter
from orchestrator.targets.lease import LeaseClient
from orchestrator.targets.receipt_map import MOST_BYTES, NAME, ReceiptMap
from probes.clock import SystemClock
from probes.target import Kubernetes, TargetDescription, load_description

ROOT = Path(__file__).parents[2]
DESCRIPTION = ROOT / "manifests/base/target.yaml"
CLOCK = SystemClock()
HEAL_WITHIN_S = 90.0


@dataclass(frozen=True, slots=True)
class Scene:
    """A namespace with a StatefulSet in it, by an identity that may inject; `folder` is empty."""

    target: Kubernetes
    statefulset: str
    replicas: int
    folder: Path

    @property
    def text(self) -> str:
        """The description of a platform whose replica role is that StatefulSet."""
        document = yaml.safe_load(DESCRIPTION.read_text(encoding="utf-8"))
        document["kubernetes"] = json.loads(self.target.model_dump_json())
        document["roles"]["postgres-replica"]["statefulset"] = self.statefulset
        return str(yaml.safe_dump(document))

    @property
    def description(self) -> TargetDescription:
        return load_description(self.text, source="test")

    def receipt(self, fault: str = "replica", **more: Any) -> Receipt:
        settings = {"role": "postgres-replica", "hold_s": 60, "mode": "gone"}
        data = {"replicas": self.replicas, "pod": f"{self.statefulset}-0"} | more
        return Receipt(fault=fault, kind="replica_failure", run_id="run-1", settings=settings, target="a replica", data=data)

    def ledger(self) -> Ledger:
        return Ledger(self.folder / "ledger.jsonl")

    def mirror(self, run_id: str = "run-1") -> LedgerMirror:
        return LedgerMirror(ReceiptMap(self.target), self.ledger(), run_id)

    def lease(self, run_id: str = "run-1") -> TargetLease:
        return TargetLease(LeaseClient(self.target), run_id, CLOCK)

    async def asked(self, method: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        writer = KubeWriter(self.target)
        try:
            return await writer.call(method, path, body)
        finally:
            writer.close()

    @property
    def config_maps(self) -> str:
        return f"/api/v1/namespaces/{self.target.namespace}/configmaps"

    async def copied(self) -> dict[str, Any] | None:
        """The ConfigMap, or None."""
        status, document = await self.asked("GET", f"{self.config_maps}/{NAME}")
        assert status in (200, 404), document
        return document if status == 200 else None

    async def asked_for(self) -> int:
        """Replicas that the StatefulSet's spec asks for."""
        status, document = await self.asked("GET", f"/apis/apps/v1/namespaces/{self.target.namespace}/statefulsets/{self.statefulset}")
        assert status == 200, document
        return int(document["spec"]["replicas"])

    async def break_it(self) -> None:
        """A run that injects, with its receipt mirrored, and is no more."""
        self.ledger().open(self.receipt())
        await self.mirror().follow()
        writer = KubeWriter(self.target)
        await writer.scale("statefulsets", self.statefulset, self.replicas - 1)
        writer.close()

    async def clear(self) -> None:
        """As it was before."""
        await self.asked("DELETE", f"{self.config_maps}/{NAME}")
        await self.asked("DELETE", f"/apis/coordination.k8s.io/v1/namespaces/{self.target.namespace}/leases/chaos-orchestrator")
        writer = KubeWriter(self.target)
        await writer.scale("statefulsets", self.statefulset, self.replicas)
        writer.close()


async def the_copy_says_what_is_open_and_is_away_when_nothing_is(scene: Scene) -> None:
    ledger, mirror = scene.ledger(), scene.mirror()
    for fault in ("one", "two"):
        ledger.open(scene.receipt(fault))
        await mirror.follow()
    copied = await scene.copied()
    assert copied is not None
    assert copied["metadata"]["labels"] == {"app.kubernetes.io/managed-by": "chaos-orchestrator", "chaos.media-gateway/run": "run-1"}
    assert [one["fault"] for one in json.loads(copied["data"]["receipts.json"])] == ["two", "one"]
    ledger.close(scene.receipt("two"))
    await mirror.follow()
    copied = await scene.copied()
    assert copied is not None
    assert json.loads(copied["data"]["receipts.json"]) == [scene.receipt("one").model_dump(mode="json")]
    ledger.close(scene.receipt("one"))
    for _ in range(2):
        await mirror.follow()
        assert await scene.copied() is None


async def faults_that_open_together_are_all_in_the_copy(scene: Scene) -> None:
    ledger, mirror = scene.ledger(), scene.mirror()

    async def opens(fault: str) -> None:
        ledger.open(scene.receipt(fault))
        await mirror.follow()

    await asyncio.gather(*(opens(f"fault-{number}") for number in range(5)))
    copied = await scene.copied()
    assert copied is not None
    assert {one["fault"] for one in json.loads(copied["data"]["receipts.json"])} == {f"fault-{number}" for number in range(5)}


async def the_copy_of_another_run_is_not_overwritten(scene: Scene) -> None:
    scene.ledger().open(scene.receipt())
    await scene.mirror("run-0").follow()
    before = await scene.copied()
    with pytest.raises(TargetError, match="has open receipts of run run-0"):
        await scene.mirror("run-1").follow()
    assert await scene.copied() == before
    (said,) = await mirrored_leftovers(scene.description)
    assert said == "run run-0 has replica on media-gateway; when it goes no more, heal it: orchestrator heal --target media-gateway"


async def what_nobody_of_us_wrote_is_refused_and_kept(scene: Scene) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": NAME}, "data": {"theirs": "x"}}
    assert (await scene.asked("POST", scene.config_maps, body))[0] == 201
    scene.ledger().open(scene.receipt())
    with pytest.raises(TargetError, match="has not our mark"):
        await scene.mirror().follow()
    copied = await scene.copied()
    assert copied is not None
    assert copied["data"] == {"theirs": "x"}


async def receipts_up_to_the_bound_are_written_and_more_are_refused(scene: Scene) -> None:
    """The bound is below what the API server itself takes: 1 MiB of data."""
    size = len(json.dumps([scene.receipt(pad="").model_dump(mode="json")]))
    scene.ledger().open(scene.receipt(pad="x" * (MOST_BYTES - size)))
    await scene.mirror().follow()
    assert await scene.copied() is not None
    scene.ledger().open(scene.receipt("another"))
    with pytest.raises(TargetError, match="plan fewer faults at a time"):
        await scene.mirror().follow()


async def any_machine_heals_by_the_command(scene: Scene) -> None:
    """Without the run's directory; the dead run's Lease is still there."""
    await scene.lease().take(lambda _said: None)
    await scene.break_it()
    elsewhere = scene.folder / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "target.yaml").write_text(scene.text, encoding="utf-8")
    listed = await asyncio.to_thread(orchestrator_heal, elsewhere, "--list")
    assert (listed.returncode, await scene.asked_for()) == (1, scene.replicas - 1)
    assert "run-1: replica (replica_failure) on a replica: is still there" in listed.stdout
    healed = await asyncio.to_thread(orchestrator_heal, elsewhere)
    assert healed.returncode == 0, healed.stdout + healed.stderr
    assert "run-1: replica (replica_failure) on a replica: healed and read back" in healed.stdout
    assert await scene.asked_for() == scene.replicas
    assert await scene.copied() is None
    assert await LeaseClient(scene.target).read() is None
    assert await mirrored_leftovers(scene.description) == []


def orchestrator_heal(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "orchestrator", "heal", "--target", "media-gateway", *options],
        cwd=folder,
        env={"CHAOS_TARGET": "target.yaml", "PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=HEAL_WITHIN_S,
        check=False,
    )


async def a_run_that_still_renews_its_lease_is_not_touched(scene: Scene) -> None:
    lease = scene.lease()
    await lease.take(lambda _said: None)
    await scene.break_it()
    keeping = asyncio.create_task(lease.keep())
    (one,) = await heal_mirrored(scene.description, CLOCK)
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)
    assert (one.run, one.state, one.clean) == ("run-1", "live", False)
    assert await scene.asked_for() == scene.replicas - 1
    assert await scene.copied() is not None


async def what_cannot_be_healed_stays_in_the_copy(scene: Scene) -> None:
    scene.ledger().open(scene.receipt("well"))
    scene.ledger().open(scene.receipt("strange").model_copy(update={"settings": {"role": "nowhere", "hold_s": 60}}))
    await scene.mirror().follow()
    found = {one.fault: one.state for one in await heal_mirrored(scene.description, CLOCK)}
    assert found == {"well": "healed", "strange": "left"}
    copied = await scene.copied()
    assert copied is not None
    assert [one["fault"] for one in json.loads(copied["data"]["receipts.json"])] == ["strange"]


CASES: list[Callable[[Scene], Awaitable[None]]] = [
    the_copy_says_what_is_open_and_is_away_when_nothing_is,
    faults_that_open_together_are_all_in_the_copy,
    the_copy_of_another_run_is_not_overwritten,
    what_nobody_of_us_wrote_is_refused_and_kept,
    receipts_up_to_the_bound_are_written_and_more_are_refused,
    any_machine_heals_by_the_command,
    a_run_that_still_renews_its_lease_is_not_touched,
    what_cannot_be_healed_stays_in_the_copy,
]
