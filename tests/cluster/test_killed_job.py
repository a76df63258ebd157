"""The orchestrator's pod is lost while its faults are there, in each way that a cluster knows: nothing is left, nothing begins anew."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator

import pytest
from cluster_rig import KUBECONFIG, OURS, ROOT, until
from job_rig import EXPERIMENTS, Job, started
from platform_rig import Installed, installed

from sandbox.in_cluster import PORTS
from sandbox.ports import REPLICAS

pytestmark = pytest.mark.skipif(not (KUBECONFIG and OURS), reason="needs the test cluster, whose nodes may be entered and cut off")
FAULTS_WITHIN_S, TOLD_WITHIN_S = 120.0, 180.0
CLEAN_WITHIN_S = 20.0
"""Of the start of the container that heals. One whole heal may take two minutes where a target hangs; here none does."""
VERY_LIGHTLY = {"CHAOS_LOAD_SCALE": "100"}
"""10 requests/s: nothing is judged here, and the run must come to its faults on two cores."""
OUR_PROCESSES = r"bin/orchestrator once|-m orchestrator\."
"""By their command lines; those of a node's own services have the project's name in their path."""
AWAY_FROM_TOXIPROXY = {
    "podAntiAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": [
            {"labelSelector": {"matchLabels": {"app": "toxiproxy"}}, "namespaceSelector": {}, "topologyKey": "kubernetes.io/hostname"}
        ]
    }
}
"""What is to be healed must outlive the node that is cut off."""


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    with installed(f"killed-platform-{secrets.token_hex(3)}", tmp_path_factory.mktemp("overlay")) as there:
        yield there


@pytest.fixture
def job(platform: Installed) -> Iterator[Job]:
    """A run whose faults are there: two links are cut or slow, a replica is away."""
    platform.wait_ready()
    one = Job(f"killed-{secrets.token_hex(3)}", platform.namespace)
    with started(one, EXPERIMENTS / "overlap.json", VERY_LIGHTLY, affinity=AWAY_FROM_TOXIPROXY):
        one.started()
        until("two links are hit", lambda: len(links_hit(platform)) == 2, FAULTS_WITHIN_S)
        assert {receipt["kind"] for receipt in one.open_receipts()} >= {"link_latency", "partition"}
        yield one


def links_hit(platform: Installed) -> set[str]:
    with platform.http("toxiproxy", PORTS["toxiproxy"]) as toxiproxy:
        return {name for name, proxy in toxiproxy.get("/proxies").json().items() if proxy["toxics"] or not proxy["enabled"]}


def is_clean(platform: Installed, job: Job) -> bool:
    replicas = platform.kubectl("get", "statefulset", "postgresql-replica", "-o", "jsonpath={.spec.replicas}")
    return not links_hit(platform) and int(replicas) == len(REPLICAS) and not job.open_receipts()


def machine(*words: str) -> None:
    command = [sys.executable, "-m", "testbed", *words]
    subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT / "tests/cluster")}, check=True, timeout=120)


def told(job: Job) -> bool:
    """Whether a start of the orchestrator has told what became of the run before it."""
    return any("verdict=INCONCLUSIVE exit=2" in text for text in (job.log(), job.log(previous=True)))


def test_every_process_of_it_is_killed_from_its_node(platform: Installed, job: Job) -> None:
    pod = job.pods()[-1]
    machine("enter", pod["spec"]["nodeName"], "pkill", "-9", "-f", OUR_PROCESSES)
    until("its container has started again", lambda: job.state(job.pods()[-1])["restartCount"] > 0)
    took_s = until("the target is clean", lambda: is_clean(platform, job), CLEAN_WITHIN_S)
    until("it has told what became of it", lambda: told(job), TOLD_WITHIN_S)
    print(f"\nclean {took_s:.1f} s after it was started again")
    assert job.pods()[-1]["metadata"]["uid"] == pod["metadata"]["uid"]
    assert_nothing_begins(platform, job)


def test_its_pod_is_deleted(platform: Installed, job: Job) -> None:
    """It is told to end, heals, and ends long before its grace is over. Its replacement would be a run of its own: the Job goes first."""
    name = job.pods()[-1]["metadata"]["name"]
    job.kubectl("delete", "job", "chaos-full", "--cascade=orphan")
    job.kubectl("delete", "pod", name, "--wait=false")
    took_s = until("the target is clean", lambda: is_clean(platform, job), CLEAN_WITHIN_S)
    print(f"\nclean {took_s:.1f} s after it was deleted")


def test_its_node_loses_power(platform: Installed, job: Job) -> None:
    before = job.pods()[-1]
    node = before["spec"]["nodeName"]
    machine("cut", node)
    try:
        until("another pod of the Job runs elsewhere", lambda: replaced(job, before["metadata"]["uid"]), TOLD_WITHIN_S)
        took_s = until("the target is clean", lambda: is_clean(platform, job), CLEAN_WITHIN_S)
        until("it has told what became of it", lambda: told(job), TOLD_WITHIN_S)
        print(f"\nclean {took_s:.1f} s after its replacement ran")
        assert_nothing_begins(platform, job)
    finally:
        machine("heal", node)


def replaced(job: Job, uid: str) -> bool:
    pods = job.pods()
    return bool(pods) and pods[-1]["metadata"]["uid"] != uid and job.state(pods[-1])["state"].keys() & {"running", "terminated"} != set()


def assert_nothing_begins(platform: Installed, job: Job) -> None:
    """A further start tells the same again, and nothing is injected."""
    starts = job.state(job.pods()[-1])["restartCount"]
    until("it has started once more", lambda: job.state(job.pods()[-1])["restartCount"] > starts, TOLD_WITHIN_S)
    until("it has told it again", lambda: told(job))
    assert is_clean(platform, job)
