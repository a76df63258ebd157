"""A lost node in virtual time: the whole life of the fault, what proves it, when it counts as healed, and which node must not be lost."""

from __future__ import annotations

import asyncio
from pathlib import Path
from random import Random

import pytest
from chaos_nodes.fault import Act
from chaos_nodes.nodes import Neighbour, Node
from lost_node import DRIVER, ROLE, World, fault, platform, pod
from virtual_time import START_S, VirtualClock, run_virtual

from orchestrator.errors import HealFailed, TargetError
from orchestrator.fault_life import Course, FaultLife
from orchestrator.faults.base import Proof, Receipt, Settings
from orchestrator.guards import beyond
from orchestrator.ledger import Ledger
from orchestrator.plan import PlannedFault
from probes.target import BlastCaps, JobLoad
from steady_state.observations import FaultLine, Observation

AT_S, HOLD_S = 40.0, 30.0


@pytest.fixture(autouse=True)
def outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)


def lived(world: World, folder: Path, act: Act = "power_cut") -> tuple[Course, list[FaultLine], Ledger]:
    lines: list[Observation] = []

    async def main(clock: VirtualClock) -> Course:
        ledger = Ledger(folder / "ledger.jsonl")
        lost = fault(world, clock, act)
        drive = world.drive

        async def watched(words: list[str], node: str, within_s: float) -> None:
            assert [one.data["node"] for one in ledger.open_receipts()] == [node], "the receipt comes first"
            await drive(words, node, within_s)

        lost._drive = watched  # type: ignore[assignment]
        life = FaultLife(
            planned=PlannedFault("node-lost", f"chaos_nodes.node_{act}", AT_S, Settings(role="node", hold_s=HOLD_S)),
            fault=lost,
            ledger=ledger,
            record=lines.append,
            clock=clock,
            aborted=asyncio.Event(),
            start=START_S,
            rng=Random(1),
            tell=lambda _text: None,
            objection=lambda radius: beyond(radius, platform().blast_caps),
        )
        return await life.run()

    course = run_virtual(main)
    return course, [line for line in lines if isinstance(line, FaultLine)], Ledger(folder / "ledger.jsonl")


@pytest.mark.parametrize("act", ["power_cut", "partition"])
def test_a_node_is_lost_for_its_hold_and_comes_back(act: Act, tmp_path: Path) -> None:
    world = World()
    course, lines, ledger = lived(world, tmp_path, act)
    assert (course.injected, course.felt, course.healed, course.trouble) == (True, True, True, "")
    (lost, node, at_s), (mended, same, healed_s) = world.commands
    assert (lost, mended, same) == (DRIVER[act], DRIVER["heal"], node)
    assert (at_s, healed_s) == (AT_S, AT_S + 1 + HOLD_S - 1)
    phases = {line.phase: line for line in lines}
    assert phases["exposure"].data == {"count": 5, "source": f"requests_total of web on {node}"}
    elsewhere = {"node1": "web-2", "node2": "web-1"}[node]
    assert str(phases["proof"].data["detail"]).startswith(f"web-{node[-1]} on {node}: no answer")
    assert f"{elsewhere} elsewhere answering; lease last renewed at" in str(phases["proof"].data["detail"])
    assert ledger.open_receipts() == []
    assert world.closed == 1


def test_which_node_is_drawn_depends_on_the_seed_alone() -> None:
    async def drawn(clock: VirtualClock, seed: int) -> str:
        return str((await fault(World(), clock).prepare(Random(seed))).data["node"])

    found = [run_virtual(lambda clock, seed=seed: drawn(clock, seed)) for seed in (*range(10), *range(10))]
    assert found[:10] == found[10:]
    assert set(found) == {"node1", "node2"}


def proof(world: World, lost: str = "node1") -> Proof:
    async def main(clock: VirtualClock) -> Proof:
        one = fault(world, clock)
        receipt = await one.prepare(Random(0))
        receipt = receipt.model_copy(update={"data": receipt.data | {"node": "node1", "here": {"web-1": 80}, "elsewhere": {"web-2": 80}}})
        if lost:
            world.lost_at[lost] = clock.now()
        await asyncio.sleep(1)
        return await one.prove(receipt)

    return run_virtual(main)


def test_only_silence_on_this_node_while_others_answer_is_felt() -> None:
    assert proof(World()).grade == "felt"
    assert proof(World(), lost="") == Proof("acknowledged", "web-1 on node1 still answers")
    assert proof(World(silent=True)) == Proof("acknowledged", "no pod of web answers through the API server, on node1 or elsewhere")


def test_an_api_server_that_is_away_proves_nothing() -> None:
    async def main(clock: VirtualClock) -> None:
        world = World()
        one = fault(world, clock)
        receipt = await one.prepare(Random(0))
        world.away = True
        with pytest.raises(TargetError, match="does not answer"):
            await one.prove(receipt)

    run_virtual(main)


def test_not_ready_while_the_pods_answer_is_read_back_and_not_felt() -> None:
    async def main(clock: VirtualClock) -> Proof:
        world = World()
        one = fault(world, clock)
        receipt = await one.prepare(Random(0))
        node = str(receipt.data["node"])
        world.lost_at[node] = clock.now() - 60
        world.answers = lambda *_: _true()  # type: ignore[method-assign]
        return await one.prove(receipt)

    assert run_virtual(main).grade == "read_back"


async def _true() -> bool:
    return True


def healed(world: World, node: str = "node1") -> tuple[float, str, str]:
    """Seconds, and what HealFailed said and which command it gave; both empty when it went well."""

    async def main(clock: VirtualClock) -> tuple[float, str, str]:
        receipt = Receipt(
            fault="node-lost", kind="chaos_nodes.node_power_cut", run_id="run-1", settings={}, target=node, data={"node": node, "here": {}}
        )
        began = clock.now()
        try:
            await fault(world, clock).heal(receipt)
        except HealFailed as error:
            return clock.now() - began, error.what, error.remedy
        return clock.now() - began, "", ""

    return run_virtual(main)


def test_a_heal_waits_for_a_lease_that_was_renewed_since() -> None:
    took_s, said, _ = healed(World(lost_at={"node1": START_S - 60}))
    assert (took_s, said) == (1.0, "")
    # Nothing was wrong: it takes until the next renewal, and does no harm.
    took_s, said, _ = healed(World())
    assert (1.0 < took_s <= 3.0, said) == (True, "")


@pytest.mark.parametrize(
    ("world", "words"),
    [
        (World(driver_fails="`sh mend node1` failed with 1: no such machine"), "`sh mend node1` failed with 1: no such machine"),
        (
            World(lost_at={"node1": 0.0}, comes_back=False),
            "node node1 was not back within 22 s: not Ready, its lease was last renewed at 0",
        ),
        (World(renews=False), "node node1 was not back within 22 s: Ready, its lease was last renewed at 1000"),
        (World(away=True), "node node1 was not back within 22 s: the API server does not say how it is"),
    ],
)
def test_a_node_that_is_not_back_is_told_in_time_with_the_command(world: World, words: str) -> None:
    took_s, said, remedy = healed(world)
    assert (said, remedy) == (words, """sh mend node1 'it'"'"'s'""")
    assert took_s < 24


@pytest.mark.parametrize("node", ["--all", "node1 node2", "", "a;b", "../x", "Node1"])
def test_a_receipt_that_names_no_node_moves_no_driver(node: str) -> None:
    world = World()
    with pytest.raises(TargetError, match="is not the name of a node"):
        healed(world, node)
    assert world.commands == []


def objection(world: World, role: object = ROLE, caps: BlastCaps | None = None) -> str:
    async def main(clock: VirtualClock) -> str:
        radius = await fault(world, clock, role=role).preview()  # type: ignore[arg-type]
        return beyond(radius, caps or BlastCaps())

    try:
        return run_virtual(main)
    except TargetError as error:
        return str(error)


def nodes(**changed: Node) -> list[Node]:
    return [changed.get(f"node{number}", Node(f"node{number}", True, False, False)) for number in (1, 2, 3)]


ALONE = {"node1": [pod("web-1")]}
REFUSED: list[tuple[World, str]] = [
    (
        World(beside={"node2": [Neighbour("chaos/full-x", True)]}),
        "pod chaos/full-x is an orchestrator's or its load's and stands on node node2",
    ),
    (World(nodes=nodes(node1=Node("node1", True, True, False))), "node node1, on which web stands, must not be lost: it is a control node"),
    (
        World(nodes=nodes(node2=Node("node2", True, False, True))),
        "node node2, on which web stands, must not be lost: this orchestrator runs on it",
    ),
    (
        World(under_them=ALONE, nodes=[Node("node1", True, False, False), Node("c", True, True, False), Node("d", False, False, False)]),
        "node node1, on which web stands, must not be lost: no other node is ready",
    ),
    (World(under_them=ALONE, nodes=[Node("node2", True, False, False)]), "the API server knows no node node1"),
    (
        World(under_them=ALONE),
        "it would take 1 of 1 ready pods of web on node node1, with up to 0 other pods, the target description allows a share",
    ),
    (
        World(under_them={"node1": [pod("a"), pod("b")], "node2": [pod("c"), pod("d")]}),
        "it would take 2 of 4 ready pods of web on one of the nodes",
    ),
    (World(under_them={}), "web has no ready pod, so no node of it can be lost"),
]


@pytest.mark.parametrize(("world", "words"), REFUSED, ids=[words[:60] for _, words in REFUSED])
def test_a_node_that_must_not_be_lost_is_refused_by_name(world: World, words: str) -> None:
    assert words in objection(world)
    assert world.commands == []


def test_load_that_a_run_will_make_must_be_kept_off_every_node_that_may_be_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    def with_load(*off: str) -> None:
        load = JobLoad(engine="job", workers=3, namespace="chaos-load", image="x", off_nodes=list(off))
        monkeypatch.setattr("lost_node.platform", lambda: described.model_copy(update={"load": load}))

    described = platform()
    with_load("node1", "node3")
    assert objection(World()) == "workers of the load may stand on node node2, which may be lost: name it in load.off_nodes"
    with_load("node1", "node2")
    assert objection(World()) == ""


def test_what_came_to_stand_there_since_the_plan_is_seen_before_the_injection() -> None:
    world = World()
    assert objection(world) == ""
    world.beside["node1"] = [Neighbour("chaos/load-0", True)]

    async def main(clock: VirtualClock) -> None:
        with pytest.raises(TargetError, match="pod chaos/load-0 is an orchestrator's or its load's"):
            await fault(world, clock).prepare(Random(0))

    run_virtual(main)


def test_a_plan_on_a_platform_that_allows_it_is_not_refused() -> None:
    assert objection(World(beside={"node1": [Neighbour("x/other", False)]})) == ""
    assert objection(World(under_them=ALONE), caps=BlastCaps(share=1)) == ""


def test_a_run_from_a_pod_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
    assert objection(World()) == "a node is lost from outside only: this orchestrator runs in a pod"


def test_a_driver_that_is_not_here_is_refused() -> None:
    driver = DRIVER | {"heal": ["no-such-program", "{node}"]}
    role = ROLE.model_copy(update={"settings": ROLE.settings | {"driver": driver}})
    assert objection(World(), role) == "the driver's program no-such-program is not found here"


def test_a_role_without_a_workload_is_refused() -> None:
    assert "names no workload" in objection(World(), ROLE.model_copy(update={"workload": None}))
