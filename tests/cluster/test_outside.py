"""A run from outside the cluster, with a kubeconfig and a node port: the platform with one replica fails as on the sandbox."""

from __future__ import annotations

import json
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster_rig import KUBECONFIG, OURS, ROOT
from outside_rig import Outside, node_port
from platform_rig import Installed, installed

pytestmark = pytest.mark.skipif(not (KUBECONFIG and OURS), reason="needs the test cluster, whose control machine is the outside")
SMOKE = str(ROOT / "experiments/smoke.json")
RUN_WITHIN_S = 240.0


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    """With the planted flaw: one pod of each service, so that killing it is an outage."""
    copy = tmp_path_factory.mktemp("flawed") / "platform"
    shutil.copytree(ROOT / "manifests/platform", copy)
    subprocess.run([sys.executable, "-m", "sandbox", "manifests", str(copy), "--flaw", "one-replica"], check=True, cwd=ROOT)
    with installed(f"outside-{secrets.token_hex(3)}", tmp_path_factory.mktemp("overlay"), copy) as there:
        yield there


def test_one_replica_fails(platform: Installed, tmp_path: Path) -> None:
    outside = Outside(tmp_path)
    target = outside.target(platform, node_port(platform))
    outside.wait_until_planned(target, SMOKE)
    ran = outside.command(target, "orchestrator", "gate", SMOKE, within_s=RUN_WITHIN_S)
    said = ran.stdout[-3000:] + ran.stderr[-3000:]
    print(said.splitlines()[-1])
    report = json.loads((tmp_path / "runs/latest/report.json").read_text())
    assert (ran.returncode, report["verdict"]) == (1, "FAIL"), said
    cells = {cell["criterion"]: cell for cell in report["cells"] if cell["fault"] == "pod-kill"}
    assert cells["zero_downtime"]["verdict"] == "FAIL", cells["zero_downtime"]
    (fault,) = report["faults"]
    assert None not in (fault["felt"], fault["healed"]), fault
