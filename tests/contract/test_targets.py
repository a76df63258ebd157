"""Writes to targets, and the faults made of them, on the sandbox's real servers; scripted servers for what a healthy one never does."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from fault_rig import CLOCK, Api, around, link_role, platform, served
from redis.asyncio import Redis
from redis.exceptions import RedisError
from scripted_server import GOOD, Reply, ScriptedServer
from toxiproxy_rig import program

from orchestrator.errors import HealFailed, NothingToHitError, TargetError
from orchestrator.faults import link as link_module
from orchestrator.faults.base import Fault, Receipt
from orchestrator.faults.cache_flush import CacheFlush
from orchestrator.faults.cache_flush import Settings as FlushSettings
from orchestrator.faults.kinds import fault_of
from orchestrator.faults.link_latency import LinkLatency
from orchestrator.faults.link_latency import Settings as LatencySettings
from orchestrator.faults.partition import Partition
from orchestrator.faults.partition import Settings as PartitionSettings
from orchestrator.targets.cache import Cache
from orchestrator.targets.toxiproxy import Proxy, Toxiproxy
from probes.target import RedisRole, ReplicaRole, TargetDescription
from sandbox.ports import free_port

DEADLINE_S = 10.0
DELAY_MS = 150


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The sandbox's Toxiproxy in a process of its own."""
    with program(tmp_path_factory.mktemp("toxiproxy") / "log", "--host", "127.84.0.9", "--port", "0") as running:
        yield running.url()


@pytest.fixture
async def toxiproxy(server: str) -> AsyncIterator[Toxiproxy]:
    client = Toxiproxy(server)
    yield client
    await client.close()


@pytest.fixture
async def link(toxiproxy: Toxiproxy) -> AsyncIterator[Proxy]:
    """A proxy named `link` with an HTTP upstream behind it."""
    async with served(ScriptedServer(lambda _head: GOOD)) as upstream:
        listen = f"127.84.0.10:{free_port()}"
        await toxiproxy.recreate(Proxy("link", listen, upstream.removeprefix("http://"), True, ()))
        yield await toxiproxy.proxy("link")


@pytest.fixture
async def described(tmp_path: Path) -> AsyncIterator[TargetDescription]:
    async with served(ScriptedServer(Api().answer)) as url:
        yield platform(url, tmp_path)


async def felt(fault: Fault, receipt: Receipt) -> str:
    """The detail of the first proof that is felt."""
    deadline = time.monotonic() + DEADLINE_S
    while (proof := await fault.prove(receipt)).grade != "felt":
        assert time.monotonic() < deadline, proof.detail
    return proof.detail


class TestToxiproxy:
    async def test_a_toxic_is_added_read_back_replaced_and_removed(self, toxiproxy: Toxiproxy, link: Proxy) -> None:
        for delay_ms in (10, 20):
            await toxiproxy.add_toxic("link", "late", kind="latency", stream="downstream", attributes={"latency": delay_ms, "jitter": 0})
            assert (await toxiproxy.proxy("link")).toxics == ("late",)
        for _ in range(2):
            await toxiproxy.remove_toxic("link", "late")
            assert (await toxiproxy.proxy("link")).toxics == ()

    async def test_a_proxy_is_switched_off_and_on(self, toxiproxy: Toxiproxy, link: Proxy) -> None:
        for enabled in (False, False, True, True):
            await toxiproxy.set_enabled("link", enabled=enabled)
            assert (await toxiproxy.proxy("link")).enabled is enabled

    async def test_recreating_cleans_and_also_makes_what_was_gone(self, toxiproxy: Toxiproxy, link: Proxy) -> None:
        await toxiproxy.add_toxic("link", "late", kind="latency", stream="downstream", attributes={"latency": 10, "jitter": 0})
        await toxiproxy.set_enabled("link", enabled=False)
        for _ in range(2):
            await toxiproxy.recreate(link)
            assert await toxiproxy.proxy("link") == link

    async def test_what_is_not_there_is_a_target_error(self, toxiproxy: Toxiproxy, link: Proxy) -> None:
        with pytest.raises(TargetError, match="404"):
            await toxiproxy.proxy("nowhere")
        with pytest.raises(TargetError, match="400"):
            await toxiproxy.add_toxic("link", "odd", kind="oddity", stream="downstream", attributes={})
        with pytest.raises(TargetError, match="404"):
            await toxiproxy.set_enabled("nowhere", enabled=True)

    @pytest.mark.parametrize(
        "reply",
        [
            Reply("500", status=500, body=b'{"error": "boom"}'),
            Reply("html", body=b"<html>a gateway's page</html>"),
            Reply("empty", body=b"{}"),
            Reply("list", body=b"[]"),
            Reply("toxics null", body=b'{"name": "link", "toxics": [null]}'),
            Reply("hangs", breaks="hang"),
            Reply("reset", breaks="reset"),
            Reply("eof", breaks="eof"),
        ],
        ids=lambda reply: reply.name,
    )
    async def test_a_server_that_misbehaves_is_a_target_error_in_time(self, reply: Reply) -> None:
        async with served(ScriptedServer(lambda _head: reply)) as url:
            client = Toxiproxy(url, timeout_s=0.1)
            began = time.monotonic()
            with pytest.raises(TargetError):
                await client.proxy("link")
            with pytest.raises(TargetError):
                await client.set_enabled("link", enabled=True)
            with pytest.raises(TargetError):
                await client.add_toxic("link", "late", kind="latency", stream="downstream", attributes={"latency": 1})
            assert time.monotonic() - began < DEADLINE_S
            await client.close()

    async def test_a_server_that_is_away_is_a_target_error(self) -> None:
        client = Toxiproxy(f"http://127.84.0.9:{free_port()}")
        with pytest.raises(TargetError, match="ConnectError"):
            await client.proxy("link")
        await client.close()

    async def test_a_toxic_that_is_read_back_otherwise_is_a_target_error(self) -> None:
        shown = Reply("shown", body=b'{"name": "late", "attributes": {"latency": 1}}')
        async with served(ScriptedServer(lambda _head: shown)) as url:
            client = Toxiproxy(url)
            with pytest.raises(TargetError, match="read back"):
                await client.add_toxic("link", "late", kind="latency", stream="downstream", attributes={"latency": 200})
            await client.close()

    async def test_an_answer_that_got_lost_is_asked_for_again(self) -> None:
        replies = iter([Reply("lost", breaks="reset"), Reply("shown", body=b'{"enabled": true}')])
        async with served(ScriptedServer(lambda _head: next(replies))) as url:
            client = Toxiproxy(url)
            await client.set_enabled("link", enabled=True)
            await client.close()


Make = Callable[[Any], Fault]
LINK_FAULTS: dict[str, Make] = {
    "latency": lambda around: LinkLatency(around, LatencySettings(role="x", hold_s=10, delay_ms=DELAY_MS)),
    "refused": lambda around: Partition(around, PartitionSettings(role="x", hold_s=10, mode="refused")),
    "blackhole": lambda around: Partition(around, PartitionSettings(role="x", hold_s=10, mode="blackhole")),
}


@pytest.fixture(autouse=True)
def short_canaries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_module, "CANARY_TIMEOUT_S", 0.5)


class TestLinkFaults:
    @pytest.mark.parametrize("kind", LINK_FAULTS)
    async def test_from_preparation_to_a_clean_link(
        self, kind: str, server: str, link: Proxy, toxiproxy: Toxiproxy, described: TargetDescription
    ) -> None:
        fault = LINK_FAULTS[kind](around(described, link_role(server)))
        receipt = Receipt.model_validate_json((await fault.prepare(Random(1))).model_dump_json())
        assert (await fault.preview()).count == 1
        assert (await fault.exposure(receipt)).count == 5
        assert (await fault.prove(receipt)).grade != "felt"
        await fault.inject(receipt)
        assert await felt(fault, receipt)
        with pytest.raises(TargetError, match="not clean"):
            await fault.preview()
        for _ in range(2):
            await fault.heal(receipt)
            assert await toxiproxy.proxy("link") == link
            assert (await fault.prove(receipt)).grade != "felt"
        await fault.close()

    @pytest.mark.parametrize("kind", LINK_FAULTS)
    async def test_another_process_heals_with_nothing_but_the_receipt(
        self, kind: str, server: str, link: Proxy, toxiproxy: Toxiproxy, described: TargetDescription
    ) -> None:
        role = link_role(server)
        fault = LINK_FAULTS[kind](around(described, role))
        receipt = await fault.prepare(Random(1))
        await fault.inject(receipt)
        await fault.close()
        healer = fault_of(receipt, described.model_copy(update={"roles": {"x": role}}), CLOCK)
        await healer.heal(receipt)
        await healer.close()
        assert await toxiproxy.proxy("link") == link

    @pytest.mark.parametrize("kind", LINK_FAULTS)
    async def test_a_receipt_whose_fault_was_never_injected_or_healed_by_others_is_harmless(
        self, kind: str, server: str, link: Proxy, toxiproxy: Toxiproxy, described: TargetDescription
    ) -> None:
        fault = LINK_FAULTS[kind](around(described, link_role(server)))
        receipt = await fault.prepare(Random(1))
        await fault.heal(receipt)
        await fault.inject(receipt)
        await toxiproxy.recreate(link)
        await fault.heal(receipt)
        assert await toxiproxy.proxy("link") == link
        await fault.close()

    async def test_toxics_of_others_stay(self, server: str, link: Proxy, toxiproxy: Toxiproxy, described: TargetDescription) -> None:
        fault = LINK_FAULTS["blackhole"](around(described, link_role(server)))
        receipt = await fault.prepare(Random(1))
        await fault.inject(receipt)
        await toxiproxy.add_toxic("link", "theirs", kind="latency", stream="downstream", attributes={"latency": 1, "jitter": 0})
        await fault.heal(receipt)
        assert (await toxiproxy.proxy("link")).toxics == ("theirs",)
        await fault.close()

    async def test_a_link_that_is_not_clean_or_down_is_not_touched(
        self, server: str, link: Proxy, toxiproxy: Toxiproxy, described: TargetDescription
    ) -> None:
        fault = LINK_FAULTS["latency"](around(described, link_role(server)))
        await toxiproxy.set_enabled("link", enabled=False)
        with pytest.raises(TargetError, match="disabled"):
            await fault.prepare(Random(1))
        await toxiproxy.recreate(Proxy("link", link.listen, f"127.84.0.11:{free_port()}", True, ()))
        with pytest.raises(TargetError, match="healthy link"):
            await fault.prepare(Random(1))
        await fault.close()

    async def test_a_delay_longer_than_the_canary_waits_is_felt(
        self, server: str, link: Proxy, toxiproxy: Toxiproxy, described: TargetDescription, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("orchestrator.faults.link_latency.CANARY_TIMEOUT_S", 0.5)
        fault = LinkLatency(around(described, link_role(server)), LatencySettings(role="x", hold_s=10, delay_ms=5000))
        receipt = await fault.prepare(Random(1))
        await fault.inject(receipt)
        assert await felt(fault, receipt)
        await fault.heal(receipt)
        await fault.close()


class StuckToxiproxy:
    """Removing a toxic hangs, as on the real server with a full connection; the rest works, when `works`."""

    def __init__(self, *, works: bool) -> None:
        self.works = works
        self.toxics = ["chaos-run-1-cut"]
        self.asked: list[str] = []

    def answer(self, head: bytes) -> Reply:
        method, path, _ = head.decode().split(" ", 2)
        self.asked.append(f"{method} {path}")
        if method == "DELETE" and "/toxics/" in path and self.toxics:
            return Reply("hangs", breaks="hang")
        if method == "DELETE" and not self.works:
            return Reply("refuses", status=500)
        if method == "DELETE":
            self.toxics = []
        toxics = [{"name": name} for name in self.toxics]
        document = {"name": "link", "listen": "127.0.0.1:1", "upstream": "127.0.0.1:2", "enabled": True, "toxics": toxics}
        return Reply("shown", body=json.dumps(document).encode())


class TestHardHeal:
    receipt = Receipt(
        fault="cut",
        kind="link_latency",
        run_id="run-1",
        settings={"role": "x", "hold_s": 10, "delay_ms": DELAY_MS},
        target="link",
        data={"toxic": "chaos-run-1-cut", "listen": "127.0.0.1:1", "upstream": "127.0.0.1:2"},
    )

    @pytest.fixture(autouse=True)
    def impatient(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(link_module, "HEAL_DEADLINE_S", 0.5)

    async def test_a_removal_that_hangs_makes_the_proxy_anew(self, described: TargetDescription) -> None:
        stuck = StuckToxiproxy(works=True)
        async with served(ScriptedServer(stuck.answer)) as url:
            fault = LINK_FAULTS["latency"](around(described, link_role(url)))
            await fault.heal(self.receipt)
            await fault.close()
        assert "DELETE /proxies/link" in stuck.asked
        assert "POST /proxies" in stuck.asked

    async def test_what_cannot_be_healed_tells_the_operator_how(self, described: TargetDescription) -> None:
        async with served(ScriptedServer(StuckToxiproxy(works=False).answer)) as url:
            fault = LINK_FAULTS["latency"](around(described, link_role(url)))
            with pytest.raises(HealFailed, match="could not be cleaned") as caught:
                await fault.heal(self.receipt)
            await fault.close()
        assert caught.value.remedy.startswith(f"curl -X DELETE {url}/proxies/link && curl -X POST")
        assert json.loads(caught.value.remedy.partition("-d ")[2].strip("'")) == {
            "name": "link",
            "listen": "127.0.0.1:1",
            "upstream": "127.0.0.1:2",
            "enabled": True,
        }

    async def test_a_frozen_replica_s_link_is_made_anew_too(self, described: TargetDescription) -> None:
        stuck = StuckToxiproxy(works=True)
        stuck.toxics = ["chaos-run-1-cut-up"]
        data = {"pod": "replica-2", "uid": "u", "replicas": 3, "listen": "127.0.0.1:1", "upstream": "127.0.0.1:2"}
        receipt = Receipt(
            fault="cut",
            kind="replica_failure",
            run_id="run-1",
            settings={"role": "x", "hold_s": 10, "mode": "freeze"},
            target="replica-2",
            data=data,
        )
        async with served(ScriptedServer(stuck.answer)) as url:
            role = ReplicaRole(
                kind="postgres-replica",
                statefulset="replica",
                primary_dsn="postgresql://x@127.0.0.1:1/x",
                replica_dsns={},
                toxiproxy_url=url,
                proxies={"replica-2": "link"},
            )
            fault = fault_of(receipt, described.model_copy(update={"roles": {"x": role}}), CLOCK)
            await fault.heal(receipt)
            await fault.close()
        assert stuck.toxics == []
        assert "POST /proxies" in stuck.asked


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The sandbox's cache in a process of its own."""
    port, folder = free_port(), tmp_path_factory.mktemp("valkey")
    environment = os.environ | {"POD_IP": "127.0.0.1", "PORT": str(port), "VOLUME_DATA": str(folder)}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "sandbox.valkey"], env=environment, stdout=log, stderr=log)
    try:
        asyncio.run(_until_up(f"redis://127.0.0.1:{port}/0"))
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait(DEADLINE_S)


async def _until_up(url: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    async with Redis.from_url(url) as client:
        while True:
            try:
                await client.ping()
                return
            except (RedisError, OSError):
                assert time.monotonic() < deadline
                await asyncio.sleep(0.02)


class TestCacheFlush:
    async def test_from_preparation_to_an_empty_cache(self, valkey: str, described: TargetDescription) -> None:
        fault = CacheFlush(around(described, RedisRole(kind="redis", url=valkey, allow_flush=True)), FlushSettings(role="redis"))
        async with Redis.from_url(valkey) as client:
            await client.mset({f"key-{number}": "x" for number in range(20)})
            receipt = await fault.prepare(Random(1))
            assert "20 keys" in receipt.target
            assert (await fault.preview()).count == 20
            await client.get("key-1")
            await client.get("key-2")
            assert (await fault.exposure(receipt)).count == 2
            assert (await fault.prove(receipt)).grade == "acknowledged"
            await fault.inject(receipt)
            assert await felt(fault, receipt)
            assert await client.dbsize() == 0
            await fault.heal(receipt)
            await fault.heal(receipt)
        await fault.close()

    async def test_a_canary_that_is_gone_for_another_reason_proves_nothing(self, valkey: str, described: TargetDescription) -> None:
        fault = CacheFlush(around(described, RedisRole(kind="redis", url=valkey, allow_flush=True)), FlushSettings(role="redis"))
        receipt = await fault.prepare(Random(2))
        assert (await fault.prove(receipt)).grade == "acknowledged"
        await fault.close()

    async def test_a_cache_that_may_not_be_flushed_is_not(self, valkey: str, described: TargetDescription) -> None:
        fault = CacheFlush(around(described, RedisRole(kind="redis", url=valkey)), FlushSettings(role="redis"))
        with pytest.raises(NothingToHitError, match="allow_flush"):
            await fault.prepare(Random(1))
        await fault.close()

    @pytest.mark.parametrize("answers", [b"-ERR flush is disabled\r\n", b""], ids=["refuses", "hangs"])
    async def test_a_server_that_misbehaves_is_a_target_error_in_time(self, answers: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while answers and await reader.read(4096):
                writer.write(answers * 4)
            await reader.read()
            writer.close()

        monkeypatch.setattr("orchestrator.targets.cache.TIMEOUT_S", 0.2)
        listener = await asyncio.start_server(serve, "127.0.0.1", 0)
        cache = Cache(f"redis://127.0.0.1:{listener.sockets[0].getsockname()[1]}/0")
        began = time.monotonic()
        for call in (cache.flush_all(), cache.get("key"), cache.put("key", "value", ttl_s=1)):
            with pytest.raises(TargetError):
                await call
        assert time.monotonic() - began < DEADLINE_S
        await cache.close()
        listener.close()
