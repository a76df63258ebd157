"""A node is lost and comes back: on the sandbox its processes stop, on the test cluster it loses power or its network."""

import asyncio
from collections.abc import Iterator

import pytest
from backends import REAL
from kube_clients import Kube
from kube_harness import wait_for
from lost_nodes import FLEET, ROOT, Fleet, fleet, needs_a_driver

from orchestrator.ledger_mirror import LedgerMirror
from orchestrator.targets.receipt_map import NAME, ReceiptMap

pytestmark = needs_a_driver


@pytest.fixture(scope="module")
def lost(session_kube: Kube, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with fleet(session_kube, tmp_path_factory.mktemp("lost nodes")) as there:
        yield there


LOSSES = ["node_power_cut", "node_partition"] if REAL else ["node_power_cut"]
"""On the sandbox the two are the same."""
HOLD_S = 10.0
"""As long as a run looks for the effect: a busy machine may need all of it."""


@pytest.mark.parametrize("kind", LOSSES)
async def test_a_node_is_lost_felt_and_back(kind: str, lost: Fleet) -> None:
    await asyncio.to_thread(lost.settle)
    course, lines = await lost.lived(kind, HOLD_S)
    assert (course.injected, course.felt, course.healed, course.trouble) == (True, True, True, ""), lines
    count = lines["exposure"].data["count"]
    assert isinstance(count, int)
    assert count > 0
    felt_s, back_s = lines["proof"].t - lines["injecting"].t, lines["healed"].t - lines["healing"].t
    print(f"\n{kind}: felt after {felt_s:.1f} s, back {back_s:.1f} s after the heal began; {lines['proof'].data['detail']}")
    assert lost.ledger.open_receipts() == []
    await asyncio.to_thread(lost.settle)


async def test_a_heal_of_a_node_that_is_well_does_no_harm(lost: Fleet) -> None:
    await asyncio.to_thread(lost.settle)
    receipt = await lost.prepared("node_power_cut")
    before = {pod.metadata.uid for pod in lost.kube.pods(FLEET)}
    await lost.healed(receipt)
    assert {pod.metadata.uid for pod in lost.kube.ready_pods(FLEET)} == before


async def test_any_machine_that_has_the_package_heals_by_the_command(lost: Fleet) -> None:
    """The run is no more; its receipt is in the namespace, and the commands are in the target description."""
    await asyncio.to_thread(lost.settle)
    receipt = await lost.prepared("node_power_cut")
    node = str(receipt.data["node"])
    lost.ledger.open(receipt)
    mirror = LedgerMirror(ReceiptMap(lost.description.cluster), lost.ledger, "run-1")
    await mirror.follow()
    await asyncio.to_thread(lost.drive, "power_cut", node)

    alone = await asyncio.to_thread(lost.command, "heal", "--target", "media-gateway", with_package=False)
    assert alone.returncode == 1, alone.stdout + alone.stderr
    assert "fault package chaos_nodes cannot be used here" in alone.stdout
    assert "by hand: install it where `orchestrator heal` runs, or name its folder in PYTHONPATH" in alone.stdout
    assert is_mirrored(lost)

    healed = await asyncio.to_thread(lost.command, "heal", "--target", "media-gateway")
    assert healed.returncode == 0, healed.stdout + healed.stderr
    assert f"node-lost (chaos_nodes.node_power_cut) on {receipt.target}: healed and read back" in healed.stdout
    assert not is_mirrored(lost)
    lost.ledger.close(receipt)
    await asyncio.to_thread(lost.settle)


def is_mirrored(lost: Fleet) -> bool:
    found = lost.kube.core.list_namespaced_config_map(lost.kube.namespace).items
    return NAME in {one.metadata.name for one in found}


def test_a_plan_that_may_lose_a_node_with_our_own_pod_is_refused(lost: Fleet) -> None:
    lost.settle()
    name = str(ROOT / "experiments/nodes/node-power-cut.json")
    planned = lost.command("plan", name)
    assert planned.returncode == 3, planned.stdout + planned.stderr
    assert f"ready pods of {FLEET} on one of the nodes" in planned.stdout
    assert "way back: the driver powers the node on" in planned.stdout
    assert "allowed: " in planned.stdout
    assert "get leases.coordination.k8s.io in namespace kube-node-lease" in planned.stdout
    # This description's gateway is inside the cluster, so something is refused; but not the fault.
    assert "refused: node-power-cut" not in planned.stdout

    pod = lost.kube.backend.maker.pod("load-0", 8080)
    pod["metadata"]["labels"]["app.kubernetes.io/name"] = "chaos-orchestrator"
    lost.kube.core.create_namespaced_pod(lost.kube.namespace, pod)
    try:
        wait_for(lambda: lost.kube.pod("load-0").spec.node_name)
        planned = lost.command("plan", name)
        assert planned.returncode == 3, planned.stdout + planned.stderr
        words = f"refused: node-power-cut: pod {lost.kube.namespace}/load-0 is an orchestrator's or its load's and stands on node"
        assert words in planned.stdout
    finally:
        lost.kube.drop_pod("load-0")
        wait_for(lambda: lost.kube.gone("load-0"))
