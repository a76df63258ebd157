"""The mirrored ledger on a real cluster, with the injector's rights and no others."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import yaml
from cluster_rig import KUBECONFIG
from manifest_rig import ORCHESTRATOR, PLATFORM, Installed, moved, rendered
from mirror_cases import CASES, Scene

pytestmark = pytest.mark.skipif(not KUBECONFIG, reason="CLUSTER_KUBECONFIG names no cluster")
REPLICAS = 3
"""Asked for, not made: the pods' image is nowhere."""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    tag = secrets.token_hex(3)
    there = Installed(f"chaos-test-platform-{tag}", f"chaos-test-{tag}", tmp_path_factory.mktemp("identities"))
    wanted = [one for one in rendered("managed") if one["kind"] in ("Namespace", "ServiceAccount", "Role", "RoleBinding")]
    labels = {"app": "db"}
    pod = {
        "metadata": {"labels": labels},
        "spec": {"containers": [{"name": "main", "image": "nowhere.invalid/none", "imagePullPolicy": "Never"}]},
    }
    spec = {"replicas": REPLICAS, "serviceName": "db", "selector": {"matchLabels": labels}, "template": pod}
    workload = {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db", "namespace": PLATFORM}, "spec": spec}
    try:
        there.kubectl("create", "namespace", there.platform)
        names = {PLATFORM: there.platform, ORCHESTRATOR: there.orchestrator}
        there.kubectl("apply", "-f", "-", given=yaml.safe_dump_all(moved([*wanted, workload], names)))
        yield there
    finally:
        there.kubectl("delete", "namespace", there.platform, there.orchestrator, "--ignore-not-found", "--wait=false")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
async def test_the_mirrored_ledger(case: Callable[[Scene], Awaitable[None]], installed: Installed, tmp_path: Path) -> None:
    scene = Scene(installed.identity("chaos-injector"), "db", REPLICAS, tmp_path)
    try:
        await case(scene)
    finally:
        await scene.clear()
