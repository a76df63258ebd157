"""The fault `pod_evict` against a budget that allows no disruption: refused, nothing felt, and its cells prove nothing."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kube_objects as objects
import pytest
import yaml
from backends import MAY_DRAIN, REAL
from kube_clients import Kube
from kube_harness import wait_for
from kubernetes import client
from pydantic import TypeAdapter
from testbed.layout import API_PORT, CONTROL, netns

from orchestrator.binding import bind
from orchestrator.experiment_file import read_experiment
from orchestrator.plan import read_plan
from probes.target import load_description
from steady_state import observations as obs
from steady_state.history import History
from steady_state.judge import CRITERIA, judge
from steady_state.recording import recording_of
from steady_state.verdict import Verdict

pytestmark = pytest.mark.skipif(bool(REAL) and not MAY_DRAIN, reason="needs the pods' addresses, as the test cluster's control machine has")
ROOT = Path(__file__).parents[3]
EXPERIMENT = ROOT / "experiments/pod-evict.json"
LIFE_WITHIN_S = 90.0
APP = "web"


@pytest.fixture
def no_disruption(kube: Kube) -> Iterator[None]:
    budgets = client.PolicyV1Api(kube.api)
    budgets.create_namespaced_pod_disruption_budget(kube.namespace, objects.budget(APP, least=2))
    try:
        wait_for(lambda: looked_at(budgets.read_namespaced_pod_disruption_budget(APP, kube.namespace).status))
        yield
    finally:
        budgets.delete_namespaced_pod_disruption_budget(APP, kube.namespace)


def looked_at(status: Any) -> bool:
    return bool(status and status.expected_pods and status.disruptions_allowed == 0)


def described(kube: Kube, folder: Path) -> Path:
    """The description of manifests/base whose discovery pods are those of the tests, for whoever stands where pods can be reached."""
    document = yaml.safe_load((ROOT / "manifests/base/target.yaml").read_text(encoding="utf-8"))
    document["roles"]["discovery"] |= {"workload": APP, "exposure": {"workload": APP, "metric": "requests_total"}}
    kubeconfig = yaml.safe_load(kube.backend.kubeconfig.read_text(encoding="utf-8"))
    if REAL:
        for entry in kubeconfig["clusters"]:
            entry["cluster"]["server"] = f"https://127.0.0.1:{API_PORT}"
    (folder / "kubeconfig").write_text(yaml.safe_dump(kubeconfig), encoding="utf-8")
    document["kubernetes"] |= {"kubeconfig": str(folder / "kubeconfig"), "context": kube.backend.context, "namespace": kube.namespace}
    target = folder / "target.yaml"
    target.write_text(yaml.safe_dump(document), encoding="utf-8")
    return target


def lived(target: Path) -> list[obs.FaultLine]:
    """What was recorded of the fault's life."""
    there = ["nsenter", f"--net=/run/netns/{netns(CONTROL)}"] if REAL else []
    script = Path(__file__).with_name("one_life.py")
    command = [*there, sys.executable, str(script), str(target), str(EXPERIMENT), str(target.parent / "ledger.jsonl")]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=LIFE_WITHIN_S, check=False)
    assert done.returncode == 0, done.stderr
    return TypeAdapter(list[obs.FaultLine]).validate_python(json.loads(done.stdout))


def verdicts(target: Path, lines: list[obs.FaultLine]) -> dict[str, tuple[Verdict, str]]:
    """The fault's cells with their reasons, where this was all that happened."""
    plan = bind(read_plan(read_experiment(EXPERIMENT)), load_description(target.read_text(encoding="utf-8"), source="test"))
    start = lines[0].t
    run = obs.RunLine(t=start, run_id="run-1", seed=1, wall="2026-01-01T00:00:00Z", versions={}, plan=plan.model_dump(mode="json"))
    end = obs.EndLine(t=start + plan.length_s, ended="completed")
    happened = [run, obs.PhaseLine(t=start, phase="timeline"), *lines, end]
    judged = judge(History(recording_of([line.model_copy(update={"seq": seq}) for seq, line in enumerate(happened)])))
    found = {cell.criterion: cell.finding for cell in judged.cells if cell.fault == "pod-evict"}
    return {criterion: (finding.verdict, finding.because) for criterion, finding in found.items() if finding is not None}


@pytest.mark.usefixtures("no_disruption")
def test_a_budget_that_allows_no_disruption_makes_it_inconclusive(kube: Kube, tmp_path: Path) -> None:
    before = {pod.metadata.uid for pod in kube.pods(APP)}
    target = described(kube, tmp_path)
    lines = lived(target)
    phases = {line.phase: line.data for line in lines}
    assert "injecting" in phases, phases
    assert "injected" not in phases
    assert "proof" not in phases
    refused = "the API server answered 429 Cannot evict pod as it would violate the pod's disruption budget."
    assert str(phases["failed"]["reason"]).endswith(refused), phases["failed"]

    found = verdicts(target, lines)
    assert set(found) == set(CRITERIA) - {"refill"}
    assert {verdict for verdict, _ in found.values()} == {Verdict.INCONCLUSIVE}
    assert f"not injected: evict pod {APP}-" in found["validity"][1]
    assert refused in found["validity"][1]
    assert {pod.metadata.uid for pod in kube.ready_pods(APP)} == before
    assert '"healed"' in (tmp_path / "ledger.jsonl").read_text(encoding="utf-8")
