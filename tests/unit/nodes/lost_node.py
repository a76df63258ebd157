"""A cluster of scripted nodes in virtual time: who stands where, whose lease is renewed, who answers; and a driver that loses them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chaos_nodes.fault import Act, NodeFault, Settings
from chaos_nodes.nodes import Neighbour, Node
from virtual_time import START_S

from orchestrator.errors import TargetError
from orchestrator.faults.base import Surroundings
from probes.clients.pods import Pod
from probes.clock import Clock
from probes.target import MetricSource, PackageRole, TargetDescription, load_description
from sandbox.describe import Place, description

DRIVER = {"power_cut": ["sh", "cut", "{node}"], "partition": ["sh", "unplug", "{node}"], "heal": ["sh", "mend", "{node}", "it's"]}
ROLE = PackageRole(
    kind="package",
    package="chaos_nodes",
    workload="web",
    settings={"metric": "requests_total", "driver": DRIVER},
)
RENEWED_EVERY_S, NOTICED_AFTER_S, BOOT_S = 2.0, 6.0, 1.0


def pod(name: str) -> Pod:
    return Pod(name=name, uid=name, version=1, ip="10.0.0.1", ready=True, restarts=0, deletion="", labels={}, ports={"http": 80})


def platform() -> TargetDescription:
    """The sandbox's description with a role for nodes."""
    told = load_description(description(Place(Path("none"), None)), source="test")
    return told.model_copy(update={"roles": told.roles | {"node": ROLE}})


@dataclass
class World:
    """Three nodes with a pod `web-N` on each of the first two. `commands` are what the driver was told, with the seconds since START_S."""

    under_them: dict[str, list[Pod]] = field(default_factory=lambda: {"node1": [pod("web-1")], "node2": [pod("web-2")]})
    beside: dict[str, list[Neighbour]] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=lambda: [Node(f"node{number}", True, False, False) for number in (1, 2, 3)])
    lost_at: dict[str, float] = field(default_factory=dict)
    away: bool = False
    """The API server does not answer."""
    silent: bool = False
    """No pod answers through it."""
    driver_fails: str = ""
    comes_back: bool = True
    renews: bool = True
    commands: list[tuple[list[str], str, float]] = field(default_factory=list)
    closed: int = 0
    counter: int = 0

    @staticmethod
    def now() -> float:
        return asyncio.get_running_loop().time()

    def _asked(self) -> None:
        if self.away:
            raise TargetError("the API server does not answer")

    async def all(self) -> list[Node]:
        self._asked()
        return self.nodes

    async def is_ready(self, name: str) -> bool:
        self._asked()
        return self.now() - self.lost_at.get(name, self.now()) < NOTICED_AFTER_S

    async def renewed(self, name: str) -> str:
        self._asked()
        last = self.lost_at.get(name, self.now()) if self.renews else START_S
        return f"{last // RENEWED_EVERY_S * RENEWED_EVERY_S:g}"

    async def under(self, resource: str, workload: str) -> dict[str, list[Pod]]:
        self._asked()
        return self.under_them

    async def neighbours(self, node: str) -> list[Neighbour]:
        self._asked()
        return [Neighbour(f"x/{one.name}", False) for one in self.under_them[node]] + self.beside.get(node, [])

    async def count(self, pods: list[Pod], source: MetricSource) -> int:
        self._asked()
        self.counter += 5 * len(pods)
        return self.counter

    async def answers(self, pod: str, port: int, path: str) -> bool:
        node = next(node for node, pods in self.under_them.items() if any(one.name == pod for one in pods))
        return not self.away and not self.silent and node not in self.lost_at

    def close(self) -> None:
        self.closed += 1

    async def drive(self, words: Sequence[str], node: str, within_s: float) -> None:
        self.commands.append((list(words), node, self.now() - START_S))
        await asyncio.sleep(BOOT_S)
        if self.driver_fails:
            raise TargetError(self.driver_fails)
        if words == DRIVER["heal"]:
            if self.comes_back:
                self.lost_at.pop(node, None)
        else:
            self.lost_at[node] = self.now()


def fault(world: Any, clock: Clock, act: Act = "power_cut", role: PackageRole = ROLE) -> NodeFault:
    around = Surroundings("node-lost", "run-1", platform(), role, clock)
    return NodeFault(around, Settings(role="node", hold_s=30), act, world, world.drive)
