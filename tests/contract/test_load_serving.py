"""Load workers that serve their lines, as processes, against a real server: asked over real sockets as the run asks pods."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import os
import signal
import socket
import sys
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from scripted_server import GOOD, Reply, ScriptedServer
from test_load import TOKEN, an_order

from orchestrator.load import wire
from orchestrator.load.order import WorkerOrder
from orchestrator.load.serving import KEY, ORDER
from orchestrator.load_job.crowd import Crowd, Ways
from orchestrator.load_job.followed import GeneratorLost
from orchestrator.load_job.objects import packed
from orchestrator.targets.load_jobs import LoadPod
from probes.clients.kube import Answer
from probes.clients.unreachable import Unreachable
from probes.clock import SystemClock
from steady_state.instants import Span
from steady_state.observations import Observation, RequestLine, RunLine, TallyLine
from steady_state.outcomes import SERVED, Outcome
from steady_state.recording import Recording, recording_of

CLOCK = SystemClock(ahead_s=4321.5)
"""The run's clock: that of another machine, as far as the workers can tell."""
HUSH = "the-key-of-this-order"
LEAD_S = 2.5
RATES = {"search": 60.0, "content": 37.0}


@dataclass
class Workers:
    """Processes in the place of pods."""

    folder: Path
    count: int
    ports: list[int] = field(default_factory=list)
    processes: list[asyncio.subprocess.Process] = field(default_factory=list)
    http: httpx.AsyncClient = field(default_factory=lambda: httpx.AsyncClient(timeout=5, trust_env=False))

    async def start(self, order: WorkerOrder) -> None:
        for name, value in packed(order, HUSH).items():
            (self.folder / name).write_bytes(value)
        for number in range(self.count):
            self.ports.append(free_port())
            self.processes.append(await a_worker(self.folder, self.ports[-1], str(number)))

    async def ask(self, name: str, question: wire.Question, key: str = HUSH) -> Answer:
        url = f"http://127.0.0.1:{self.ports[int(name)]}{wire.PATH}"
        try:
            answer = await self.http.get(url, params=question.query(), headers={wire.KEY_HEADER: key})
        except httpx.HTTPError as error:
            raise Unreachable(name, repr(error)) from error
        return Answer(answer.status_code, answer.content)

    async def look(self) -> list[LoadPod]:
        codes = [process.returncode for process in self.processes]
        return [LoadPod(str(n), n, code is not None, "" if code is None else f"code {code}") for n, code in enumerate(codes)]

    async def end(self) -> None:
        await self.http.aclose()
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.communicate()


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


async def a_worker(folder: Path, port: int, number: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "orchestrator.load", "serve", str(folder), str(port)),
        env=os.environ | {"JOB_COMPLETION_INDEX": number},
        stderr=asyncio.subprocess.PIPE,
    )


def shared(order: WorkerOrder, count: int, **more: Any) -> WorkerOrder:
    return order.model_copy(update={"plan": order.plan.model_copy(update={"workers": count}), **more})


@contextlib.asynccontextmanager
async def workers(folder: Path, order: WorkerOrder) -> AsyncIterator[Workers]:
    found = Workers(folder, order.plan.workers)
    try:
        await found.start(order)
        yield found
    finally:
        await found.end()


def read(lines: list[Observation]) -> Recording:
    """As the judge reads it."""
    plan = {"title": "t", "target": "t", "length_s": 1, "scale_time": 1, "scale_load": 1, "faults": [], "limits": {}}
    plan |= {"criteria_set": "c", "breakers": [], "workloads": [], "routes": list(RATES)}
    run = RunLine(t=CLOCK.now(), run_id="r", seed=1, wall="", versions={}, plan=plan)
    return recording_of(line.model_copy(update={"seq": seq}) for seq, line in enumerate([run, *lines]))


async def test_three_workers_are_judged_as_the_one_load_that_the_server_saw(tmp_path: Path) -> None:
    """Each arrival reached the server once, from one of them; what they tell adds up to its own count, outcome by outcome."""

    def script(head: bytes) -> Reply:
        return (Reply("busy", status=503), Reply("slow", delay_s=0.4), GOOD, GOOD, GOOD)[len(server.arrivals) % 5]

    server = ScriptedServer(script)
    await server.open()
    order = shared(an_order(server.url, rates=RATES, start_s=0.0), 3)
    lines: list[Observation] = []
    async with workers(tmp_path, order) as found:
        crowd = Crowd(order.plan, Ways(found.ask, found.look), lines.append, CLOCK)
        await crowd.gather()
        start_s = CLOCK.now() + LEAD_S
        await crowd.start(start_s)
        await CLOCK.sleep_until(start_s + 6)
        await crowd.stop(CLOCK.now())
        assert [process.returncode for process in found.processes] == [None] * 3
    await server.close()

    recording = read(lines)
    assert recording.lost == []
    plan, end_s = recording.load_plans["load"], recording.load_ends["load"]
    assert (plan.start_s, plan.workers) == (start_s, 3)
    counts: Counter[Outcome] = Counter()
    for second, tally in sorted(recording.tallies["load"].items()):
        assert tally.workers == (0, 1, 2)
        for route, row in tally.routes.items():
            assert row.due == plan.due_in(route, Span(start_s + second, min(start_s + second + 1, end_s))), (route, second)
            counts.update(row.counts)
    assert sum(counts.values()) == len(server.arrivals) > 6 * sum(RATES.values()) - 2
    assert max(Counter(arrival.operation for arrival in server.arrivals).values()) == 1
    replies = Counter(arrival.reply.name for arrival in server.arrivals)
    told = [line for line in lines if isinstance(line, RequestLine)]
    assert counts[Outcome.SERVER_ERROR] == replies["busy"] == sum(line.outcome is Outcome.SERVER_ERROR for line in told)
    served = sum(count for outcome, count in counts.items() if outcome in SERVED)
    assert served + counts[Outcome.GENERATOR] >= replies["good"] + replies["slow"]
    assert all(line.t == plan.due(line.route, line.number) for line in told)
    assert server_saw_them_when_due(server, plan.start_s)


def server_saw_them_when_due(server: ScriptedServer, start_s: float) -> bool:
    """The workers were told the run's clock, which is hours from their own: the load began when it says."""
    first_s = min(arrival.t for arrival in server.arrivals) + CLOCK.ahead_s
    return start_s - 0.01 <= first_s <= start_s + 1.0


async def test_connections_are_retired_so_that_a_service_can_lead_them_elsewhere(tmp_path: Path) -> None:
    server = ScriptedServer(lambda head: GOOD)
    await server.open()
    order = shared(an_order(server.url, rates={"search": 40}, start_s=0.0), 1, retire_after_s=0.5)
    lines: list[Observation] = []
    async with workers(tmp_path, order) as found:
        crowd = Crowd(order.plan, Ways(found.ask, found.look), lines.append, CLOCK)
        await crowd.gather()
        await crowd.start(CLOCK.now() + LEAD_S)
        await CLOCK.sleep_until(CLOCK.now() + LEAD_S + 2)
        await crowd.stop(CLOCK.now())
    await server.close()
    kept_open = 20
    assert server.accepted >= 3 * kept_open
    failed = sum(
        row.counts.get(Outcome.RESET, 0) + row.counts.get(Outcome.EOF, 0) for line in tallies(lines) for row in line.routes.values()
    )
    assert failed == 0


def tallies(lines: list[Observation]) -> list[TallyLine]:
    return [line for line in lines if isinstance(line, TallyLine)]


async def test_a_killed_worker_is_a_lost_generator(tmp_path: Path) -> None:
    server = ScriptedServer(lambda head: GOOD)
    await server.open()
    order = shared(an_order(server.url, rates={"search": 20}, start_s=0.0), 2)
    async with workers(tmp_path, order) as found:
        crowd = Crowd(order.plan, Ways(found.ask, found.look), lambda line: None, CLOCK)
        await crowd.gather()
        await crowd.start(CLOCK.now() + LEAD_S)
        os.kill(found.processes[1].pid, signal.SIGKILL)
        with pytest.raises(GeneratorLost, match=r"generator lost: load worker 1 \(pod 1\) ended: code -9"):
            await asyncio.wait_for(crowd.wait(), 15)
        await crowd.let_go()
    await server.close()


async def test_nothing_is_told_without_the_key_and_no_command_is_taken(tmp_path: Path) -> None:
    server = ScriptedServer(lambda head: GOOD)
    await server.open()
    order = shared(an_order(server.url, rates={"search": 20}, start_s=0.0), 1)
    async with workers(tmp_path, order) as found:
        crowd = Crowd(order.plan, Ways(found.ask, found.look), lambda line: None, CLOCK)
        await crowd.gather()
        stranger = await found.ask("0", wire.Question(first=0, start_s=CLOCK.now(), ahead_s=CLOCK.ahead_s), key="guess")
        assert (stranger.status, TOKEN.encode() in stranger.body) == (403, False)
        post = await found.http.post(f"http://127.0.0.1:{found.ports[0]}{wire.PATH}", headers={wire.KEY_HEADER: HUSH})
        assert post.status_code == 405
        with contextlib.suppress(httpx.HTTPError):
            await found.http.get(f"http://127.0.0.1:{found.ports[0]}/", headers={"X": "a" * 100_000})
        report, _ = wire.read((await found.ask("0", wire.Question(first=0))).body)
        assert (report.state, server.arrivals) == ("waiting", [])
        found.processes[0].terminate()
        assert await asyncio.wait_for(found.processes[0].wait(), 5) == 128 + signal.SIGTERM
    await server.close()


@pytest.mark.parametrize(
    ("number", "change", "code", "words"),
    [
        ("2", {}, 2, "worker 2 is none of the 2 that the plan has"),
        ("", {}, 2, "JOB_COMPLETION_INDEX being ''"),
        ("0", {"base_url": "http://no-such-host.invalid:1"}, 3, "cannot reach http://no-such-host.invalid:1"),
        ("0", {"seed": "x"}, 2, "the order is wrong: seed"),
    ],
)
async def test_a_worker_that_cannot_begin_says_why(tmp_path: Path, number: str, change: dict[str, Any], code: int, words: str) -> None:
    order = shared(an_order("http://127.0.0.1:9", rates={"search": 20}, start_s=0.0), 2)
    (tmp_path / ORDER).write_bytes(gzip.compress(json.dumps(order.model_dump(mode="json") | change).encode()))
    (tmp_path / KEY).write_text(HUSH)
    process = await a_worker(tmp_path, free_port(), number)
    _, errors = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == code
    assert words in errors.decode()
    assert TOKEN.encode() not in errors


async def test_a_command_line_that_means_nothing_is_refused() -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "orchestrator.load", "serve", stderr=asyncio.subprocess.PIPE)
    _, errors = await process.communicate()
    assert (process.returncode, errors) == (2, b"usage: python -m orchestrator.load [serve FOLDER PORT]\n")
