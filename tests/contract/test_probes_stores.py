"""The probes that read stores, on the real ones: Valkey, PostgreSQL with a replica, a PubNub-compatible server."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import httpx
import pytest
from aiohttp import web
from redis.asyncio import Redis

from probes.breakers import BreakerReaders, BreakersProbe
from probes.cache import CacheProbe
from probes.clients.http import HttpClient
from probes.clients.postgres import PostgresReader
from probes.clients.pubnub import PubNubSubscriber
from probes.clients.redis_reader import RedisReader
from probes.clients.unreachable import Unreachable
from probes.clock import SystemClock
from probes.delivery import DeliveryProbe, DeliverySettings, device_b
from probes.replication import ReplicationProbe
from probes.sampler import Probe
from probes.target import TargetDescription
from sandbox.data.cache import prepared
from sandbox.ports import free_port
from sandbox.postgres import programs
from sandbox.process import die_with_parent, unprivileged
from steady_state.observations import BreakerLine, CacheLine, DeliveryLine, GapLine, Observation, OperationLine, ReplicationLine

Kind = TypeVar("Kind")
DEADLINE_S = 30.0
CLOCK = SystemClock()


async def until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {DEADLINE_S:g} s"
        await asyncio.sleep(0.01)


@dataclass
class Recorded:
    """What the probe under test has recorded so far."""

    lines: list[Observation] = field(default_factory=list)

    def of(self, kind: type[Kind]) -> list[Kind]:
        return [line for line in self.lines if isinstance(line, kind)]


@asynccontextmanager
async def running(probe: Probe) -> AsyncIterator[Recorded]:
    recorded, stop = Recorded(), asyncio.Event()
    task = asyncio.create_task(probe.run(recorded.lines.append, stop))
    try:
        yield recorded
    finally:
        stop.set()
        await asyncio.wait_for(task, DEADLINE_S)


@contextmanager
def module(name: str, *arguments: str, environment: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A sandbox program as a process of its own; killed at the end."""
    command = [sys.executable, "-m", name, *arguments]
    full = os.environ | environment
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, env=full, stdout=quiet, stderr=quiet, preexec_fn=die_with_parent)  # noqa: PLW1509 - a system call only
    try:
        yield process
    finally:
        process.send_signal(signal.SIGCONT)
        process.send_signal(signal.SIGINT)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


# Valkey


async def test_the_copy_of_a_breakers_state_in_a_key(tmp_path: Path) -> None:
    port = free_port()
    url = f"redis://127.0.0.1:{port}/0"
    copy = {"kind": "copy", "name": "sync->pubnub", "url": url, "key": "circuit_breaker:pubnub:state", "pointer": "/state"}
    told = TargetDescription.model_validate(
        {
            "name": "t",
            "gateway_url": "http://g",
            "content_id_format": "c",
            "content_count": 1,
            "routes": {},
            "roles": {},
            "breakers": [copy],
        }
    )
    with module("sandbox.valkey", environment={"POD_IP": "127.0.0.1", "PORT": str(port), "VOLUME_DATA": str(tmp_path)}) as valkey:
        reader = RedisReader(url, timeout_s=0.5)
        probe = BreakersProbe(clock=CLOCK, description=told, readers=BreakerReaders(stores={url: reader}))
        async with Redis.from_url(url) as writer, running(probe) as recorded:

            def states() -> list[str]:
                return [line.state for line in recorded.of(BreakerLine)]

            await until(lambda: states() == ["closed"], "no key is closed")
            written_at = CLOCK.now()
            await writer.set("circuit_breaker:pubnub:state", '{"state":"open","failure_count":5}', ex=60)
            await until(lambda: states()[-1] == "open", "the copy shows")
            line = recorded.of(BreakerLine)[-1]
            assert (line.breaker, line.replica, line.source) == ("sync->pubnub", "copy", "copy")
            assert line.previous_t is not None
            assert written_at - 0.5 < line.previous_t < line.t < written_at + 0.7
            await writer.flushall()
            await until(lambda: states() == ["closed", "open", "closed"], "a flush takes the copy away")
            valkey.send_signal(signal.SIGSTOP)
            frozen_at = CLOCK.now()
            await until(lambda: CLOCK.now() > frozen_at + 1.5, "the time of a gap")
            valkey.send_signal(signal.SIGCONT)
            await until(lambda: recorded.of(GapLine), "a frozen server is a gap")
            assert {gap.subject for gap in recorded.of(GapLine)} == {"sync->pubnub/copy (copy)"}
            assert states() == ["closed", "open", "closed"]
        await reader.close()


async def test_cache_counters_survive_a_flush_and_a_freeze(tmp_path: Path) -> None:
    port = free_port()
    url = f"redis://127.0.0.1:{port}/0"
    with module("sandbox.valkey", environment={"POD_IP": "127.0.0.1", "PORT": str(port), "VOLUME_DATA": str(tmp_path)}) as valkey:
        reader = RedisReader(url, timeout_s=0.5)
        async with Redis.from_url(url) as writer, running(CacheProbe(clock=CLOCK, reader=reader)) as recorded:
            await until(lambda: recorded.of(CacheLine), "the first line")
            await writer.set("a", 1)
            await writer.get("a")
            await writer.get("b")
            await until(lambda: recorded.of(CacheLine)[-1].keys == 1, "the key shows")
            line = recorded.of(CacheLine)[-1]
            assert (line.hits, line.misses, line.flushes) == (1, 1, 0)
            await writer.flushall()
            assert await reader.dbsize() == 0
            assert (await reader.commandstats())["flushall"] == 1
            await until(lambda: recorded.of(CacheLine)[-1].flushes == 1, "the flush shows")
            line = recorded.of(CacheLine)[-1]
            assert (line.hits, line.misses, line.keys) == (1, 1, 0)
            valkey.send_signal(signal.SIGSTOP)
            began = time.monotonic()
            with pytest.raises(Unreachable, match="redis 127"):
                await reader.dbsize()
            assert time.monotonic() - began < 2
            valkey.send_signal(signal.SIGCONT)
            frozen_at = CLOCK.now()
            await until(lambda: recorded.of(CacheLine)[-1].t > frozen_at, "it goes on")
        await reader.close()


# PostgreSQL


@pytest.fixture(scope="module")
def seed() -> Path:
    return prepared("sandbox", lambda _: None).postgres


@contextmanager
def servers(directory: Path, seed: Path) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """A primary at 127.97.0.1 and a replica at 127.97.0.2; yields their port and the replica."""
    directory.chmod(0o711)
    port = free_port()
    common = {
        "PORT": str(port),
        "POSTGRES_BIN": str(programs.usable(unprivileged(), directory)),
        "POSTGRES_SEED_DIR": str(seed),
        "PRIMARY_HOST": "127.97.0.1",
        "PRIMARY_PORT": str(port),
    }

    def environment(name: str, number: int) -> dict[str, str]:
        (directory / name).mkdir()
        return common | {"POD_NAME": name, "POD_IP": f"127.97.0.{number}", "VOLUME_DATA": str(directory / name)}

    with (
        module("sandbox.postgres", "primary", environment=environment("primary-0", 1)),
        module("sandbox.postgres", "replica", environment=environment("replica-0", 2)) as replica,
    ):
        yield port, replica


async def test_standbys_and_transactions(seed: Path) -> None:
    # Not pytest's own directory: that one is closed to the user that PostgreSQL runs as.
    with tempfile.TemporaryDirectory(prefix="chaos-probes-test-") as name, servers(Path(name), seed) as (port, replica):
        dsn = "postgresql://media@127.97.0.{}:" + str(port) + "/media_gateway"
        primary = PostgresReader(dsn.format(1), what="primary")
        standby = PostgresReader(dsn.format(2), what="replica-0")
        async with running(ReplicationProbe(clock=CLOCK, primary=primary)) as recorded:

            def streaming() -> bool:
                lines = recorded.of(ReplicationLine)
                return bool(lines) and [(one.name, one.state) for one in lines[-1].replicas] == [("replica-0", "streaming")]

            await until(streaming, "the replica streams")
            assert recorded.of(ReplicationLine)[-1].replicas[0].lag_bytes < 1_000_000
            assert await primary.transactions() > 0
            assert await standby.transactions() >= 0
            replica.send_signal(signal.SIGINT)
            await until(lambda: recorded.of(ReplicationLine)[-1].replicas == [], "the replica is away")
            with pytest.raises(Unreachable, match="replica-0"):
                await standby.transactions()
        primary.close()
        standby.close()


async def test_a_server_that_accepts_and_says_nothing_is_given_up() -> None:
    mute = socket.create_server(("127.0.0.1", 0))
    port = mute.getsockname()[1]
    began = time.monotonic()
    with pytest.raises(Unreachable):
        await PostgresReader(f"postgresql://media@127.0.0.1:{port}/x", what="mute", timeout_s=0.3).standbys()
    with pytest.raises(Unreachable):
        await RedisReader(f"redis://127.0.0.1:{port}/0", timeout_s=0.3).counters()
    with pytest.raises(Unreachable):
        await HttpClient(f"http://127.0.0.1:{port}", timeout_s=0.3).request("GET", "/")
    assert time.monotonic() - began < 3
    mute.close()


# PubNub


class Gateway:
    """A sync route that publishes what it accepts before it answers."""

    def __init__(self, origin: str, client: httpx.AsyncClient) -> None:
        self._publish = f"{origin}/publish/pub-sandbox/sub-sandbox/0/"
        self._client = client

    async def post(self, request: web.Request) -> web.Response:
        user = request.headers["authorization"].removeprefix("Bearer ")
        message = {"kind": "watchlist", "operation_id": (await request.json())["operation_id"]}
        answer = await self._client.post(f"{self._publish}user.{user}.sync/0", json=message, timeout=10)
        return web.json_response({"accepted": True}, status=answer.status_code)


def description(gateway: str, pubnub: str) -> TargetDescription:
    route = {"method": "POST", "path": "/sync", "authenticated_ratio": 1, "maximum_ms": 200, "body": {"content_id": "{content_id}"}}
    return TargetDescription.model_validate(
        {
            "name": "test",
            "kubernetes": {"kubeconfig": "/nowhere", "context": "c", "namespace": "n"},
            "gateway_url": gateway,
            "users": {"count": 2, "id_format": "u{number}", "login_path": "/", "password_env": "P"},
            "content_id_format": "content-{number:05d}",
            "content_count": 9,
            "routes": {"watchlist": route},
            "roles": {},
            "workloads": {},
            "delivery": {"origin": pubnub, "subscribe_key": "sub-sandbox", "channel_format": "user.{user_id}.sync"},
        }
    )


@asynccontextmanager
async def gateway(pubnub: str) -> AsyncIterator[str]:
    async with httpx.AsyncClient(trust_env=False) as client:
        app = web.Application()
        app.router.add_post("/sync", Gateway(pubnub, client).post)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()


async def until_up(subscriber: PubNubSubscriber) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while True:
        try:
            assert (await subscriber.now()).isdecimal()
        except Unreachable:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
        else:
            return


async def test_operations_arrive_on_the_other_device_also_across_an_outage() -> None:
    port, users = free_port(), ("u1", "u2")
    pubnub = f"http://127.0.0.1:{port}"
    arguments = ("--host", "127.0.0.1", "--port", str(port))
    async with gateway(pubnub) as url:
        told = description(url, pubnub)
        listener, poster = device_b(told, users, "r1"), HttpClient(url)
        settings = DeliverySettings(run_id="r1", users=users, token=lambda user: user, rate_per_s=20, drain_s=8)
        probe = DeliveryProbe(clock=CLOCK, description=told, settings=settings, gateway=poster, device_b=listener)
        with module("sandbox.pubnub", *arguments, environment={}) as server:
            await until_up(listener)
            async with running(probe) as recorded:
                await until(lambda: len(recorded.of(DeliveryLine)) >= 10, "deliveries")
                server.send_signal(signal.SIGSTOP)
                await until(lambda: CLOCK.now() - max(line.t for line in recorded.of(DeliveryLine)) > 3.5, "the time of a long gap")
                server.send_signal(signal.SIGCONT)
                await until(lambda: recorded.of(GapLine), "the gap")
                await until(lambda: len(recorded.of(DeliveryLine)) >= 30, "deliveries go on")
            sent = {(line.user, line.number): line.t for line in recorded.of(OperationLine) if line.accepted}
            arrived = [(line.user, line.number) for line in recorded.of(DeliveryLine)]
            assert sent.keys() <= set(arrived)
            assert {line.subject for line in recorded.of(GapLine)} == {"pubnub"}
            latencies = sorted(
                line.t - sent[line.user, line.number] for line in recorded.of(DeliveryLine) if (line.user, line.number) in sent
            )
            assert latencies[len(latencies) // 2] < 0.5
            for user in users:
                numbers = list(dict.fromkeys(number for name, number in arrived if name == user))
                assert numbers == sorted(numbers)
        with pytest.raises(Unreachable):
            await listener.now()
        await listener.close()
        await poster.close()
