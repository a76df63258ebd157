"""A fault package in a plan, in a description and in a receipt: what is found, and what is refused in a sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from chaos_nodes.fault import NodeFault
from lost_node import ROLE, platform
from plan_mistakes import DELETE, put

from orchestrator.binding import bind
from orchestrator.errors import HealFailed, PlanError
from orchestrator.faults.base import Receipt
from orchestrator.faults.kinds import fault_of, kind_of
from orchestrator.faults.permissions import Permission
from orchestrator.plan import read_plan
from probes.clock import SystemClock
from probes.target import PackageRole, TargetDescription, load_description
from sandbox.describe import Place, description
from steady_state.judged_plan import JudgedPlan

NODES = Path(__file__).parents[3] / "experiments/nodes"
CUT = "chaos_nodes.node_power_cut"
Change = Callable[[Any], object]


def experiment(name: str = "node-power-cut") -> Any:
    return json.loads((NODES / f"{name}.json").read_text(encoding="utf-8"))


def target(role: PackageRole = ROLE) -> TargetDescription:
    told = platform()
    return told.model_copy(update={"roles": told.roles | {"discovery-node": role}})


def bound(change: Change | None = None, role: PackageRole = ROLE) -> JudgedPlan:
    document = experiment()
    if change:
        change(document)
    return bind(read_plan(document), target(role))


@pytest.mark.parametrize(("name", "kind"), [("node-power-cut", CUT), ("node-partition", "chaos_nodes.node_partition")])
def test_its_fault_stands_in_the_plan_with_its_own_criteria(name: str, kind: str) -> None:
    plan = read_plan(experiment(name))
    ((fault,), judged) = plan.faults, bind(plan, target())
    assert (fault.name, fault.kind, fault.hold_s, plan.foreign) == (name, kind, 30, {})
    (told,) = judged.faults
    assert (told.kind, told.own_workload, told.not_applicable) == (kind, "web", {"refill": "only a flush empties the cache"})
    assert told.affected_routes == ["search", "recommendations", "watchlist", "content"]
    assert {rule.rule for rule in told.breakers} == {"may_open"}
    assert "pod_kill" in plan.criteria.faults


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            put("extensions.0.packages", "chaos_nodes"),
            "extensions.orchestrator.packages: it is 'chaos_nodes'; give a list of Python packages",
        ),
        (put("extensions.0.packages", ["../chaos_nodes"]), "give a list of Python packages"),
        (put("extensions.0.packages", [5]), "give a list of Python packages"),
        (
            put("extensions.0.packages", ["chaos_nowhere"]),
            "fault package chaos_nowhere cannot be used here (No module named 'chaos_nowhere')",
        ),
        (put("extensions.0.packages", ["virtual_time"]), "fault package virtual_time cannot be used here"),
        (put("method.0.provider.func", "node_meltdown"), "no fault is called 'chaos_nodes.node_meltdown'; choose one of pod_kill"),
        (put("method.0.provider.arguments.delay", 1), f"delay: this argument is not known; {CUT} takes role, hold"),
        (put("method.0.provider.arguments.hold", 0), "hold: Input should be greater than 0"),
        (put("method.0.background", DELETE), "it must not hold up the timeline"),
        # Not named, it is an activity of a stranger, and the method has no fault.
        (put("extensions.0.packages", []), "method: it has no fault"),
        (
            put("method.0.provider.arguments.role", "discovery"),
            f"{CUT} cannot act on role 'discovery' (a workload); roles that fit: discovery-node",
        ),
        (put("method.0.provider.arguments.role", "nowhere"), "has no role 'nowhere'"),
    ],
)
def test_a_mistake_in_the_plan_is_one_sentence(change: Change, words: str) -> None:
    with pytest.raises(PlanError) as told:
        bound(change)
    assert words in str(told.value)
    assert "\n" not in str(told.value)


def driver(**commands: object) -> PackageRole:
    return ROLE.model_copy(update={"settings": ROLE.settings | {"driver": ROLE.settings["driver"] | commands}})  # type: ignore[operator]


@pytest.mark.parametrize(
    ("role", "words"),
    [
        (ROLE.model_copy(update={"package": "another"}), "roles.discovery-node.package: it is another, node-power-cut is of chaos_nodes"),
        (ROLE.model_copy(update={"settings": {}}), "roles.discovery-node.settings.metric: Field required; mend the target description"),
        (driver(heal=[]), "settings.driver.heal: its first word must be a program"),
        (driver(heal="testbed heal {node}"), "settings.driver.heal: Input should be a valid list"),
        (driver(power_cut=["testbed", "cut"]), "settings.driver.power_cut: it names no node: put {node} where the node's name belongs"),
        (driver(partition=["{node}"]), "settings.driver.partition: its first word must be a program"),
        (driver(reboot=["x"]), "settings.driver.reboot: Extra inputs are not permitted"),
    ],
)
def test_a_mistake_in_the_description_is_one_sentence(role: PackageRole, words: str) -> None:
    with pytest.raises(PlanError) as told:
        bound(role=role)
    assert words in str(told.value)


def test_a_description_with_a_package_role_is_read() -> None:
    document = description(Place(Path("none"), None)).replace(
        "roles:\n", "roles:\n  node: {kind: package, package: chaos_nodes, workload: web, settings: {metric: m}}\n"
    )
    role = load_description(document, source="test").roles["node"]
    assert role == PackageRole(kind="package", package="chaos_nodes", workload="web", settings={"metric": "m"})


def receipt(kind: str = CUT) -> Receipt:
    return Receipt(fault="cut", kind=kind, run_id="r", settings={"role": "node", "hold_s": 30}, target="node node1", data={"node": "node1"})


def of(described: TargetDescription, kind: str = CUT, tmp_path: Path | None = None) -> object:
    return fault_of(receipt(kind), described, SystemClock())


def test_a_receipt_is_healed_by_the_package_that_the_description_names(tmp_path: Path) -> None:
    config = {"apiVersion": "v1", "kind": "Config", "clusters": [{"name": "x", "cluster": {"server": "http://127.0.0.1:1"}}]}
    config |= {"users": [{"name": "x", "user": {}}], "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}]}
    (tmp_path / "kubeconfig").write_text(json.dumps(config), encoding="utf-8")
    told = target()
    cluster = told.cluster.model_copy(update={"kubeconfig": tmp_path / "kubeconfig", "context": "x"})
    assert isinstance(of(told.model_copy(update={"kubernetes": cluster})), NodeFault)


def test_a_receipt_alone_makes_us_import_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr("importlib.import_module", asked.append)
    with pytest.raises(HealFailed, match="role 'node' of target sandbox is not of another"):
        of(target(), "another.node_power_cut")
    with pytest.raises(HealFailed, match="is not of chaos_nodes"):
        of(target().model_copy(update={"roles": {"node": target().roles["discovery"]}}))
    assert asked == []


def test_a_package_that_is_not_here_is_said_with_what_to_do() -> None:
    role = ROLE.model_copy(update={"package": "chaos_nowhere"})
    with pytest.raises(HealFailed) as told:
        of(target().model_copy(update={"roles": {"node": role}}), "chaos_nowhere.flood")
    assert told.value.what == "fault package chaos_nowhere cannot be used here (No module named 'chaos_nowhere')"
    assert "PYTHONPATH" in told.value.remedy


def test_what_it_needs_is_asked_for_where_it_is() -> None:
    assert {str(one) for one in kind_of(CUT).needs} == {
        "get nodes in the whole cluster",
        "list nodes in the whole cluster",
        "list pods in the whole cluster",
        "get leases.coordination.k8s.io in namespace kube-node-lease",
    }
    assert str(Permission("get", "pods")) == "get pods"
