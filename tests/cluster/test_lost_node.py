"""A whole run from outside whose fault takes a node away: felt and healed, and its verdict is never PASS (ADR 0026)."""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster_rig import KUBECONFIG, OURS, ROOT, kubectl, until
from outside_rig import Outside, node_port
from platform_rig import Installed, installed

pytestmark = pytest.mark.skipif(not (KUBECONFIG and OURS), reason="needs the test cluster, whose nodes may be cut off")
RUN_WITHIN_S, HEAL_WITHIN_S = 300.0, 90.0
MACHINE = ["env", f"PYTHONPATH={ROOT / 'tests/cluster'}", sys.executable, "-m", "testbed"]
DRIVER = {act: [*MACHINE, word, "{node}"] for act, word in (("power_cut", "cut"), ("partition", "partition"), ("heal", "heal"))}
ROLE = {
    "kind": "package",
    "package": "chaos_nodes",
    "workload": "discovery-service",
    "settings": {"metric": "http_requests_total", "labels": {"path": "/api/v1/search"}, "driver": DRIVER},
}


@pytest.fixture
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    with installed(f"lost-{secrets.token_hex(3)}", tmp_path_factory.mktemp("overlay")) as there:
        yield there


@pytest.mark.parametrize("fault", ["node-power-cut", "node-partition"])
def test_a_node_is_lost_in_a_whole_run(platform: Installed, tmp_path: Path, fault: str) -> None:
    outside = Outside(tmp_path)
    target = outside.target(platform, node_port(platform, spared_node(platform)), **{"discovery-node": ROLE})
    experiment = str(ROOT / f"experiments/nodes/{fault}.json")
    outside.wait_until_planned(target, experiment)
    ran = outside.command(target, "orchestrator", "gate", experiment, within_s=RUN_WITHIN_S)
    said = ran.stdout[-3000:] + ran.stderr[-3000:]
    print(said.splitlines()[-1])
    report = json.loads((tmp_path / "runs/latest/report.json").read_text(encoding="utf-8"))
    assert report["ended"]["how"] == "completed", said
    assert (ran.returncode, report["verdict"]) in ((1, "FAIL"), (2, "INCONCLUSIVE")), said
    (lost,) = report["faults"]
    assert None not in (lost["felt"], lost["healed"]), lost
    until("every node is ready", lambda: unready_nodes() == [])
    clean = outside.command(target, "orchestrator", "heal", "--target", "media-gateway", within_s=HEAL_WITHIN_S)
    assert clean.returncode == 0, clean.stdout + clean.stderr


def spared_node(platform: Installed) -> str:
    """One that the fault cannot draw: without a pod of the attacked workload."""
    hit = {pod["spec"]["nodeName"] for pod in platform.pods("discovery-service")}
    nodes = {node["metadata"]["name"] for node in json.loads(kubectl("get", "nodes", "-o", "json"))["items"]}
    return min(nodes - hit)


def unready_nodes() -> list[str]:
    nodes = json.loads(kubectl("get", "nodes", "-o", "json"))["items"]
    conditions = {node["metadata"]["name"]: node["status"]["conditions"] for node in nodes}
    return [name for name, found in conditions.items() if not any(one["type"] == "Ready" and one["status"] == "True" for one in found)]
