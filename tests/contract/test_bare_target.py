"""A platform that is an address and nothing else: no cluster, no users, traffic of its own."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path

from scripted_server import Reply, ScriptedServer

from orchestrator.ledger import Ledger
from orchestrator.plan import read_plan
from orchestrator.receipts import Receipts
from orchestrator.traffic import Issue, Traffic
from orchestrator.watching import Scene, Watching
from probes.clock import SystemClock
from probes.target import TargetDescription
from steady_state.observations import BeatLine, BreakerLine, GapLine, LoadEndLine, LoadPlanLine, NoteLine, Observation, TallyLine

DEADLINE_S = 15.0
CLOCK = SystemClock()
SMOKE = Path(__file__).parents[2] / "experiments" / "smoke.json"


def described(url: str) -> TargetDescription:
    breaker = {"kind": "health", "name": "a->b", "pointer": "/state", "url": f"{url}/health"}
    return TargetDescription.model_validate(
        {
            "name": "bare",
            "load": {"engine": "none"},
            "gateway_url": url,
            "content_id_format": "c{number}",
            "content_count": 1,
            "routes": {"home": {"method": "GET", "path": "/home", "authenticated_ratio": 0, "maximum_ms": 100}},
            "roles": {},
            "breakers": [breaker | {"replica": "one"}, breaker | {"replica": "two", "url": f"{url}/other"}],
        }
    )


class Platform:
    """One breaker with two replicas; the test turns the second."""

    def __init__(self) -> None:
        self.states = {"/health": "closed", "/other": "closed"}

    def reply(self, head: bytes) -> Reply:
        path = head.split(b" ")[1].decode()
        state = self.states.get(path)
        return Reply("page") if state is None else Reply("health", status=503, body=json.dumps({"state": state}).encode())


async def until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {DEADLINE_S:g} s"
        await asyncio.sleep(0.01)


async def test_it_is_watched_from_outside_and_its_breakers_by_their_address(tmp_path: Path) -> None:
    platform, lines = Platform(), list[Observation]()
    server = ScriptedServer(platform.reply)
    await server.open()
    description = described(server.url)
    receipts = Receipts(Ledger(tmp_path / "ledger.jsonl"))
    traffic = Traffic(Issue(read_plan(json.loads(SMOKE.read_text())), description, 7, CLOCK, lines.append, "run", receipts))
    watching = Watching(Scene(description, CLOCK, "run", await traffic.log_in()))
    watching.start(lines.append)
    await traffic.start()

    def states() -> list[tuple[str, str]]:
        return [(line.replica, line.state) for line in lines if isinstance(line, BreakerLine)]

    await until(lambda: len(states()) == 2, "first sight")
    turned_at = CLOCK.now()
    platform.states["/other"] = "open"
    await until(lambda: len(states()) == 3, "the change shows")
    opened = [line for line in lines if isinstance(line, BreakerLine)][-1]
    assert (opened.replica, opened.state, opened.source) == ("two", "open", "health")
    assert opened.previous_t is not None
    assert turned_at - 0.3 < opened.previous_t < opened.t < turned_at + 0.5
    await until(lambda: sum(isinstance(line, TallyLine) for line in lines) >= 2, "tallies")
    assert (traffic.lost, watching.lost) == ("", "")
    assert await traffic.stop(CLOCK.now()) == ""
    await watching.stop()
    await server.close()
    # There is no source `load` at all.
    assert {line.plan.source for line in lines if isinstance(line, LoadPlanLine)} == {"outside"}
    assert [line.source for line in lines if isinstance(line, LoadEndLine)] == ["outside"]
    assert {tally.source for tally in lines if isinstance(tally, TallyLine)} == {"outside"}
    assert [line for line in lines if isinstance(line, GapLine)] == []
    assert {line.probe for line in lines if isinstance(line, BeatLine)} == {"breakers", "host"}
    (note,) = [line for line in lines if isinstance(line, NoteLine)]
    assert note.data == {"absent_samplers": ["cache", "calls", "delivery", "pods", "replication"]}
