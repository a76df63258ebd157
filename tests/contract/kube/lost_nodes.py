"""What the two faults on nodes meet in their tests: a workload on several nodes that somebody uses, and a driver that really loses one."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import kube_harness
import kube_objects as objects
import pytest
import yaml
from backends import MAY_DRAIN, REAL
from chaos_nodes.kinds import KINDS
from kube_clients import Kube
from kube_harness import wait_for
from kubernetes import client
from kubernetes.client.exceptions import ApiException

from orchestrator.fault_life import Course, FaultLife
from orchestrator.faults.base import Receipt, Settings, Surroundings
from orchestrator.faults.kinds import fault_of, kind_of, make_fault
from orchestrator.guards import beyond
from orchestrator.ledger import Ledger
from orchestrator.plan import PlannedFault
from probes.clock import SystemClock
from probes.target import TargetDescription, load_description
from steady_state.observations import FaultLine

ROOT = Path(__file__).parents[3]
HERE = Path(__file__).parent
CLOCK = SystemClock()
FLEET, ROLE = "fleet", "discovery-node"
AT_S = 13.0
"""Of a fault that is prepared 12 s before."""
COMMAND_WITHIN_S = 90.0
RENEWED_EVERY_S = 0.5
SPREAD = {
    "topologySpreadConstraints": [
        {
            "maxSkew": 1,
            "topologyKey": "kubernetes.io/hostname",
            "whenUnsatisfiable": "DoNotSchedule",
            "labelSelector": {"matchLabels": {"app": FLEET}},
        }
    ]
}
REPLICAS = 3 if REAL else 6
"""The sandbox's scheduler knows no spreading; it takes the node with the fewest pods, so six come to stand on both."""
needs_a_driver = pytest.mark.skipif(bool(REAL) and not MAY_DRAIN, reason="only the test cluster has a driver: CLUSTER_MAY_DRAIN=yes")


@dataclass(frozen=True, slots=True)
class Fleet:
    """A Deployment on every node. `folder` is the test's own; `driver` are the commands of the target description."""

    kube: Kube
    folder: Path
    driver: dict[str, list[str]]

    @property
    def text(self) -> str:
        """The description of manifests/base on this cluster, with the role."""
        document = yaml.safe_load((ROOT / "manifests/base/target.yaml").read_text(encoding="utf-8"))
        backend = self.kube.backend
        document["kubernetes"] |= {"kubeconfig": str(backend.kubeconfig), "context": backend.context, "namespace": self.kube.namespace}
        document["blast_caps"] = {"pods": REPLICAS, "share": 0.9}
        settings = {"metric": "requests_total", "driver": self.driver}
        document["roles"][ROLE] = {"kind": "package", "package": "chaos_nodes", "workload": FLEET, "settings": settings}
        return str(yaml.safe_dump(document))

    @property
    def description(self) -> TargetDescription:
        return load_description(self.text, source="test")

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.folder / "ledger.jsonl")

    async def lived(self, kind: str, hold_s: float) -> tuple[Course, dict[str, FaultLine]]:
        """The whole life of one such fault while somebody uses the pods; what was recorded, by phase."""
        lines: list[FaultLine] = []
        planned = PlannedFault("node-lost", f"chaos_nodes.{kind}", AT_S, KINDS[kind].settings(role=ROLE, hold_s=hold_s))
        life = FaultLife(
            planned=planned,
            fault=make_fault(planned.kind, planned.settings, self._around()),
            ledger=self.ledger,
            record=lines.append,  # type: ignore[arg-type]
            clock=CLOCK,
            aborted=asyncio.Event(),
            start=CLOCK.now(),
            rng=Random(1),
            tell=lambda _text: None,
            objection=lambda radius: beyond(radius, self.description.blast_caps),
        )
        using = asyncio.create_task(self._used())
        try:
            course = await life.run()
        finally:
            using.cancel()
            await asyncio.gather(using, return_exceptions=True)
        return course, {line.phase: line for line in lines}

    async def prepared(self, kind: str) -> Receipt:
        """A receipt of a node that may be lost."""
        settings: Settings = KINDS[kind].settings(role=ROLE, hold_s=60)
        fault = kind_of(f"chaos_nodes.{kind}").make(self._around(), settings)
        try:
            return await fault.prepare(Random(1))
        finally:
            await fault.close()

    async def healed(self, receipt: Receipt) -> None:
        healer = fault_of(receipt, self.description, CLOCK)
        try:
            await healer.heal(receipt)
        finally:
            await healer.close()

    def drive(self, act: str, node: str) -> None:
        command = [word.replace("{node}", node) for word in self.driver[act]]
        subprocess.run(command, check=True, timeout=COMMAND_WITHIN_S)

    def command(self, *words: str, with_package: bool = True) -> subprocess.CompletedProcess[str]:
        """`orchestrator WORDS` in an empty folder, as on another machine."""
        elsewhere = self.folder / "elsewhere"
        elsewhere.mkdir(exist_ok=True)
        (elsewhere / "target.yaml").write_text(self.text, encoding="utf-8")
        path = [str(ROOT), *([str(ROOT / "experiments/nodes")] if with_package else [])]
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "CLUSTER_DIR") if name in os.environ}
        return subprocess.run(
            [sys.executable, "-m", "orchestrator", *words],
            cwd=elsewhere,
            env=kept | {"CHAOS_TARGET": "target.yaml", "PYTHONPATH": os.pathsep.join(path)},
            capture_output=True,
            text=True,
            timeout=COMMAND_WITHIN_S,
            check=False,
        )

    def settle(self) -> None:
        """As before: every node is ready, and every pod is."""
        wait_for(lambda: all(map(is_ready, self.kube.core.list_node().items)))
        self.kube.settle(FLEET, REPLICAS)

    def _around(self) -> Surroundings:
        description = self.description
        return Surroundings("node-lost", "run-1", description, description.roles[ROLE], CLOCK)

    async def _used(self) -> None:
        while True:
            for pod in await asyncio.to_thread(self.kube.ready_pods, FLEET):
                await asyncio.to_thread(self.kube.request, "GET", self.kube.pod_path(pod.metadata.name))
            await asyncio.sleep(0.2)


def is_ready(node: Any) -> bool:
    return any(one.type == "Ready" and one.status == "True" for one in node.status.conditions)


@contextmanager
def fleet(kube: Kube, folder: Path) -> Iterator[Fleet]:
    """The workload on several nodes; at the end every node is back and it is gone."""
    template = kube.backend.maker.template(FLEET, kube_harness.free_port())
    template["spec"] |= SPREAD if REAL else {}
    kube.apps.create_namespaced_deployment(kube.namespace, objects.workload("Deployment", FLEET, REPLICAS, template))
    lost = folder / "lost"
    lost.mkdir()
    with leases(kube, lost):
        there = Fleet(kube, folder, driver(kube, lost))
        try:
            there.settle()
            yield there
        finally:
            for node in kube.core.list_node().items:
                if not REAL or not is_ready(node):
                    there.drive("heal", node.metadata.name)
            kube.apps.delete_namespaced_deployment(FLEET, kube.namespace)
            wait_for(lambda: not kube.pods(FLEET))


def driver(kube: Kube, lost: Path) -> dict[str, list[str]]:
    """Commands by which a node is really lost: the test cluster's; on the sandbox the node's processes stop."""
    if REAL:
        testbed = ["env", f"PYTHONPATH={ROOT / 'tests/cluster'}", sys.executable, "-m", "testbed"]
        acts = {"power_cut": "cut", "partition": "partition", "heal": "heal"}
        return {act: [*testbed, command, "{node}"] for act, command in acts.items()}
    stopped, after = [sys.executable, str(HERE / "stopped_node.py")], ["{node}", str(kube.backend.kubeconfig), str(lost)]
    cut = [*stopped, "cut", *after]
    return {"power_cut": cut, "partition": cut, "heal": [*stopped, "heal", *after]}


@contextmanager
def leases(kube: Kube, lost: Path) -> Iterator[None]:
    """The sandbox has no kubelets that renew the leases of nodes: somebody does it for those that are not lost."""
    if REAL:
        yield
        return
    over = threading.Event()

    def renewing() -> None:
        while not over.wait(RENEWED_EVERY_S):
            for node in kube.core.list_node().items:
                if not (lost / node.metadata.name).exists():
                    renew(kube, node.metadata.name)

    thread = threading.Thread(target=renewing)
    for node in kube.core.list_node().items:
        renew(kube, node.metadata.name)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def renew(kube: Kube, node: str) -> None:
    api, space = client.CoordinationV1Api(kube.api), "kube-node-lease"
    spec = {"holderIdentity": node, "leaseDurationSeconds": 40, "renewTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")}
    try:
        api.patch_namespaced_lease(node, space, {"spec": spec})
    except ApiException as error:
        if error.status != 404:
            raise
        api.create_namespaced_lease(space, {"metadata": {"name": node}, "spec": spec})
