"""`node_power_cut` and `node_partition`: a node under pods of the role is lost, by the driver's command. Held."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal

from pydantic import Field

from chaos_nodes.driver import in_words
from chaos_nodes.nodes import Node, Nodes
from chaos_nodes.role import NodeRole
from orchestrator.errors import HealFailed, NothingToHitError, TargetError
from orchestrator.faults.base import BlastRadius, Exposure, Proof, Receipt, Surroundings
from orchestrator.faults.base import Settings as BaseSettings
from orchestrator.faults.counters import named
from probes.clients.pods import Pod
from probes.clients.unreachable import Unreachable
from probes.target import JobLoad, MetricSource, PackageRole

Act = Literal["power_cut", "partition"]
Drive = Callable[[Sequence[str], str, float], Awaitable[None]]
INJECT_S = 7.0
"""The driver's time: the run gives an injection 8 s."""
HEAL_DEADLINE_S, LOOK_ROOM_S = 22.0, 3.0
"""A whole heal has 24 s. So much of ours is left for looks when the driver has used all of its time."""
LOOK_PERIOD_S = 0.25
ELSEWHERE = 2
"""So many pods on other nodes are asked beside those on the node."""
IN_A_POD = "KUBERNETES_SERVICE_HOST"
"""The kubelet puts it into every container. Source: Kubernetes, Accessing the API from a pod."""


class Settings(BaseSettings):
    """`hold`: how long the node is lost."""

    hold_s: float = Field(gt=0)


@dataclass(frozen=True, slots=True)
class Seen:
    """A node as the API server shows it; `renewed`: its lease, by the node's own clock."""

    ready: bool
    renewed: str


class NodeFault:
    """One node, drawn by the run's seeded random from those on which ready pods of the role's workload stand."""

    def __init__(self, around: Surroundings, settings: Settings, act: Act, nodes: Nodes, drive: Drive) -> None:
        assert isinstance(around.role, PackageRole)
        self._around = around
        self._settings = settings
        self._act = act
        self._role = NodeRole.model_validate(around.role.settings)
        self._workload = around.role.workload or ""
        self._nodes = nodes
        self._drive = drive

    async def close(self) -> None:
        self._nodes.close()

    async def preview(self) -> BlastRadius:
        """Of whichever node it will be, the most. Raises TargetError where one of them must not be lost, or the driver is not here."""
        self._require_outside()
        under = await self._under()
        others = await self._allowed(under)
        (most, pods) = max(under.items(), key=lambda one: len(one[1]))
        where = f"on one of the nodes {', '.join(under)}" if len(under) > 1 else f"on node {most}"
        total = sum(len(pods) for pods in under.values())
        what = f"ready pods of {self._workload} {where}, with up to {max(others)} other pods"
        return BlastRadius(what, len(pods), total, capped=True)

    async def prepare(self, rng: Random) -> Receipt:
        under = await self._under()
        await self._allowed(under)
        node = rng.choice(list(under))
        here = under[node]
        elsewhere = [pod for other, pods in under.items() if other != node for pod in pods][:ELSEWHERE]
        return Receipt(
            fault=self._around.fault,
            kind=f"chaos_nodes.node_{self._act}",
            run_id=self._around.run_id,
            settings=self._settings.model_dump(mode="json"),
            target=f"node {node}, with {', '.join(pod.name for pod in here)}",
            data={
                "node": node,
                "here": {pod.name: _port(pod, self._role.port) for pod in here},
                "elsewhere": {pod.name: _port(pod, self._role.port) for pod in elsewhere},
                "counted": await self._nodes.count(here, self._source),
            },
        )

    async def exposure(self, receipt: Receipt) -> Exposure:
        here = (await self._under()).get(_node_of(receipt), [])
        now = await self._nodes.count([pod for pod in here if pod.name in _ports(receipt, "here")], self._source)
        counted = receipt.data["counted"]
        assert isinstance(counted, int)
        return Exposure(now - counted, f"{named(self._source)} on {_node_of(receipt)}")

    async def inject(self, receipt: Receipt) -> None:
        await self._drive(getattr(self._role.driver, self._act), _node_of(receipt), INJECT_S)

    async def prove(self, receipt: Receipt) -> Proof:
        # Silence proves something only while the API server answers, and others answer through it.
        node = _node_of(receipt)
        ready = await self._nodes.is_ready(node)
        here, elsewhere = await asyncio.gather(*(self._answering(_ports(receipt, where)) for where in ("here", "elsewhere")))
        if here:
            return Proof("acknowledged" if ready else "read_back", f"{here[0]} on {node} still answers")
        if _ports(receipt, "elsewhere") and not elsewhere:
            return Proof("acknowledged", f"no pod of {self._workload} answers through the API server, on {node} or elsewhere")
        silent = ", ".join(_ports(receipt, "here"))
        beside = f", {', '.join(elsewhere)} elsewhere answering" if elsewhere else ""
        renewed = await self._nodes.renewed(node)
        return Proof("felt", f"{silent} on {node}: no answer through the API server any more{beside}; lease last renewed at {renewed}")

    async def heal(self, receipt: Receipt) -> None:
        """The driver's command, then a look: Ready, with a lease renewed since. Raises HealFailed with the command for a person."""
        node, deadline = _node_of(receipt), self._around.clock.now() + HEAL_DEADLINE_S
        remedy = in_words(self._role.driver.heal, node)
        before = await self._seen(node)
        try:
            await self._drive(self._role.driver.heal, node, deadline - LOOK_ROOM_S - self._around.clock.now())
        except TargetError as error:
            raise HealFailed(str(error), remedy) from error
        seen = None
        while self._around.clock.now() < deadline:
            seen = await self._seen(node)
            # The API server calls a node Ready for a while after it was lost: only its lease tells that it is there.
            if seen is not None and before is not None and seen.ready and seen.renewed != before.renewed:
                return
            before = before or seen
            await self._around.clock.sleep_until(self._around.clock.now() + LOOK_PERIOD_S)
        raise HealFailed(f"node {node} was not back within {HEAL_DEADLINE_S:g} s: {_in_words(seen)}", remedy)

    @property
    def _source(self) -> MetricSource:
        role = self._role
        return MetricSource(workload=self._workload, port=role.port, path=role.path, metric=role.metric, labels=role.labels)

    def _require_outside(self) -> None:
        if os.environ.get(IN_A_POD):
            raise TargetError("a node is lost from outside only: this orchestrator runs in a pod")
        for words in (getattr(self._role.driver, self._act), self._role.driver.heal):
            if shutil.which(words[0]) is None:
                raise TargetError(f"the driver's program {words[0]} is not found here")

    async def _under(self) -> dict[str, list[Pod]]:
        if not self._workload:
            raise TargetError(f"role {self._settings.role} names no workload: say under whose pods a node may be lost")
        under = await self._nodes.under(self._role.resource, self._workload)
        if not under:
            raise NothingToHitError(f"{self._workload} has no ready pod, so no node of it can be lost")
        return under

    async def _allowed(self, under: Mapping[str, list[Pod]]) -> list[int]:
        """How many other pods stand on each of these nodes. Raises TargetError where one of the nodes must not be lost."""
        self._require_off(list(under))
        await self._require_expendable(list(under))
        found = await asyncio.gather(*(self._nodes.neighbours(node) for node in under))
        for node, neighbours in zip(under, found, strict=True):
            ours = [one.name for one in neighbours if one.is_ours]
            if ours:
                raise TargetError(
                    f"pod {ours[0]} is an orchestrator's or its load's and stands on node {node}, which may be lost: place it elsewhere"
                )
        return [max(0, len(neighbours) - len(under[node])) for node, neighbours in zip(under, found, strict=True)]

    def _require_off(self, names: list[str]) -> None:
        """Load that a run will make in the cluster must be kept off these nodes: it is not there yet when the plan is looked at."""
        load = self._around.description.load
        near = [name for name in names if name not in load.off_nodes] if isinstance(load, JobLoad) else []
        if near:
            raise TargetError(f"workers of the load may stand on node {near[0]}, which may be lost: name it in load.off_nodes")

    async def _require_expendable(self, names: list[str]) -> None:
        nodes = {one.name: one for one in await self._nodes.all()}
        for name in names:
            node = nodes.get(name)
            if node is None:
                raise TargetError(f"the API server knows no node {name}")
            reason = _objection(node, [one for one in nodes.values() if one.name != name])
            if reason:
                raise TargetError(f"node {name}, on which {self._workload} stands, must not be lost: {reason}")

    async def _answering(self, ports: Mapping[str, int]) -> list[str]:
        """Names of the pods that answer."""
        names = list(ports)
        answers = await asyncio.gather(*(self._nodes.answers(name, ports[name], self._role.path) for name in names))
        return [name for name, answered in zip(names, answers, strict=True) if answered]

    async def _seen(self, node: str) -> Seen | None:
        """None where the API server does not say."""
        try:
            return Seen(await self._nodes.is_ready(node), await self._nodes.renewed(node))
        except TargetError:
            return None


def _objection(node: Node, others: list[Node]) -> str:
    """Why the node must not be lost; empty when it may."""
    if node.is_control:
        return "it is a control node"
    if node.is_our_machine:
        return "this orchestrator runs on it"
    if not any(one.ready and not one.is_control for one in others):
        return "no other node is ready"
    return ""


def _node_of(receipt: Receipt) -> str:
    return str(receipt.data["node"])


def _ports(receipt: Receipt, where: str) -> dict[str, int]:
    """Pod -> port, of the receipt's pods `here` or `elsewhere`."""
    found = receipt.data[where]
    assert isinstance(found, dict)
    return {name: port for name, port in found.items() if isinstance(port, int)}


def _port(pod: Pod, name: str) -> int:
    try:
        return pod.port(name)
    except Unreachable as error:
        raise TargetError(str(error)) from error


def _in_words(seen: Seen | None) -> str:
    if seen is None:
        return "the API server does not say how it is"
    return f"{'Ready' if seen.ready else 'not Ready'}, its lease was last renewed at {seen.renewed or 'no time'}"
