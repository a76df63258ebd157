"""Relaying and every toxic of the fault proxy, felt through real sockets."""

import asyncio
import hashlib
import os
import time

import httpx
import pytest
import toxiproxy_rig
from toxiproxy_rig import WAIT_S, Client, Relay

server, http, api, relay = toxiproxy_rig.server, toxiproxy_rig.http, toxiproxy_rig.api, toxiproxy_rig.relay


# Relaying


async def test_relays_both_ways_unchanged_and_at_once(relay: Relay) -> None:
    client = await relay.connect()
    data = os.urandom(3_000_000)

    async def send() -> None:
        client.writer.write(data)
        await client.writer.drain()

    sending = asyncio.create_task(send())
    back = await asyncio.wait_for(client.reader.readexactly(len(data)), WAIT_S)
    await sending
    assert hashlib.sha256(back).digest() == hashlib.sha256(data).digest()
    assert min([await client.ask() for _ in range(5)]) < 0.1


async def test_an_upstream_that_does_not_read_stops_the_client(relay: Relay) -> None:
    relay.upstream.reads.clear()
    client = await relay.connect()
    sent_bytes = await push(client, 64_000_000)
    assert sent_bytes < 40_000_000


async def push(client: Client, most_bytes: int) -> int:
    """Send until nothing has been taken for 0.3 s; how much was taken in all."""
    sent_bytes, chunk = 0, b"x" * 1_000_000
    while sent_bytes < most_bytes:
        client.writer.write(chunk)
        try:
            await asyncio.wait_for(client.writer.drain(), 0.3)
        except TimeoutError:
            break
        sent_bytes += len(chunk)
    client.writer.transport.abort()
    return sent_bytes


async def test_the_end_of_one_side_closes_the_other(relay: Relay) -> None:
    client = await relay.connect()
    await client.ask()
    client.writer.write_eof()
    assert await client.rest() == b""
    await asyncio.wait_for(relay.upstream.closed.wait(), WAIT_S)


async def test_what_a_client_sends_before_it_leaves_arrives(relay: Relay) -> None:
    client = await relay.connect()
    client.writer.write(b"last words")
    client.writer.close()
    await asyncio.wait_for(relay.upstream.closed.wait(), WAIT_S)
    assert relay.upstream.data == b"last words"


async def test_an_upstream_that_is_down_accepts_then_closes(api: httpx.Client) -> None:
    nobody = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    target = f"127.0.0.1:{nobody.sockets[0].getsockname()[1]}"
    nobody.close()
    await nobody.wait_closed()
    listen = api.post("/proxies", json={"name": "dead", "listen": "127.0.0.1:0", "upstream": target}).json()["listen"]
    reader, writer = await asyncio.open_connection("127.0.0.1", int(listen.rpartition(":")[2]))
    assert await asyncio.wait_for(reader.read(), WAIT_S) == b""
    writer.close()


async def test_disabled_refuses_closes_and_comes_back_on_the_same_port(relay: Relay) -> None:
    relay.add("noop")
    client = await relay.connect()
    await client.ask()
    down = relay.enable(False)
    assert (down["enabled"], down["listen"]) == (False, relay.listen)
    assert await client.rest() == b""
    await asyncio.wait_for(relay.upstream.closed.wait(), WAIT_S)
    assert await relay.is_refused()
    up = relay.enable(True)
    assert (up["enabled"], up["listen"], len(up["toxics"])) == (True, relay.listen, 1)
    await (await relay.connect()).ask()


async def test_another_upstream_restarts_on_the_same_port(relay: Relay) -> None:
    client = await relay.connect()
    await client.ask()
    answer = relay.api.patch("/proxies/echo", json={"upstream": "127.0.0.1:1"})
    assert (answer.json()["listen"], answer.json()["enabled"]) == (relay.listen, True)
    assert await client.rest() == b""
    assert await (await relay.connect()).rest() == b""


async def test_reset_starts_everything_and_removes_all_toxics(relay: Relay) -> None:
    relay.add("timeout", timeout=0)
    relay.enable(False)
    assert relay.api.post("/reset").status_code == 204
    await (await relay.connect()).ask()
    assert relay.api.get("/proxies/echo").json()["toxics"] == []


# Toxics


@pytest.mark.parametrize("stream", ["upstream", "downstream"])
async def test_latency_is_felt_on_an_open_connection_and_gone_after_removal(relay: Relay, stream: str) -> None:
    client = await relay.connect()
    before_s = min([await client.ask() for _ in range(5)])
    name = relay.add("latency", stream, latency=200)
    with_s = await client.ask()
    relay.remove(name)
    after_s = min([await client.ask() for _ in range(5)])
    assert 0.2 <= with_s < 0.6
    assert max(before_s, after_s) < 0.1


async def test_latency_changes_on_an_open_connection(relay: Relay) -> None:
    client = await relay.connect()
    name = relay.add("latency", latency=50)
    assert 0.05 <= await client.ask() < 0.24
    relay.change(name, latency=250)
    assert 0.25 <= await client.ask() < 0.65


async def test_latency_of_chunks_overlaps(relay: Relay) -> None:
    relay.add("latency", latency=200)
    client = await relay.connect()
    start_s = time.monotonic()
    for _ in range(10):
        client.writer.write(b"x")
        await asyncio.sleep(0.01)
    await asyncio.wait_for(client.reader.readexactly(10), WAIT_S)
    assert 0.29 <= time.monotonic() - start_s < 1.0


async def test_latency_removed_lets_go_of_what_it_held(relay: Relay) -> None:
    client = await relay.connect()
    await client.ask()
    name = relay.add("latency", latency=60_000)
    client.writer.write(b"held")
    assert await client.is_silent(0.1)
    relay.remove(name)
    assert await asyncio.wait_for(client.reader.readexactly(4), WAIT_S) == b"held"


async def test_jitter_spreads_the_delay(relay: Relay) -> None:
    relay.add("latency", latency=60, jitter=40)
    client = await relay.connect()
    delays_s = [await client.ask() for _ in range(12)]
    assert min(delays_s) >= 0.02
    assert max(delays_s) < 0.4
    assert max(delays_s) - min(delays_s) > 0.01


async def test_bandwidth_limits_the_rate(relay: Relay) -> None:
    relay.add("bandwidth", rate=100)
    client = await relay.connect()
    took_s = await client.ask(b"x" * 60_000)
    assert 0.6 <= took_s < 1.2


async def test_bandwidth_stops_the_client_instead_of_storing(relay: Relay) -> None:
    relay.add("bandwidth", "upstream", rate=100)
    client = await relay.connect()
    assert await push(client, 64_000_000) < 40_000_000


async def test_slow_close_delays_the_close(relay: Relay) -> None:
    relay.add("slow_close", delay=300)
    client = await relay.connect()
    assert await client.ask() < 0.2
    start_s = time.monotonic()
    client.writer.write_eof()
    assert await client.rest() == b""
    assert 0.3 <= time.monotonic() - start_s < 1.0


async def test_timeout_drops_data_and_closes(relay: Relay) -> None:
    client = await relay.connect()
    await client.ask()
    start_s = time.monotonic()
    relay.add("timeout", timeout=200)
    client.writer.write(b"lost")
    assert await client.rest() == b""
    assert 0.2 <= time.monotonic() - start_s < 1.0


async def test_a_black_hole_swallows_both_ways_until_its_removal_closes(relay: Relay) -> None:
    client = await relay.connect()
    await client.ask(b"before")
    names = [relay.add("timeout", stream, timeout=0) for stream in ("upstream", "downstream")]
    client.writer.write(b"lost")
    fresh = await relay.connect()
    fresh.writer.write(b"lost")
    assert await client.is_silent(0.3)
    assert await fresh.is_silent(0.1)
    assert relay.upstream.data == b"before"
    relay.remove(names[0])
    assert await client.rest() == b""
    assert await fresh.rest() == b""
    relay.remove(names[1])
    await (await relay.connect()).ask()


async def test_reset_peer_resets_connections_opened_since_and_closes_older_ones(relay: Relay) -> None:
    older = await relay.connect()
    await older.ask()
    relay.add("reset_peer", timeout=100)
    younger = await relay.connect()
    for client in (older, younger):
        client.writer.write(b"ping")
    start_s = time.monotonic()
    with pytest.raises(ConnectionResetError):
        await younger.rest()
    assert 0.09 <= time.monotonic() - start_s < 1.0
    assert await older.rest() == b""


async def test_reset_peer_without_data_stays_quiet(relay: Relay) -> None:
    relay.add("reset_peer", timeout=0)
    assert await (await relay.connect()).is_silent(0.2)


async def test_slicer_cuts_and_keeps_every_byte(relay: Relay) -> None:
    relay.add("slicer", "upstream", average_size=100, size_variation=20, delay=3000)
    client = await relay.connect()
    took_s = await client.ask(os.urandom(4000))
    assert 34 <= len(relay.upstream.chunks) <= 64
    assert max(len(chunk) for chunk in relay.upstream.chunks) < 500
    assert took_s >= 33 * 0.003


async def test_limit_data_closes_after_so_many_bytes(relay: Relay) -> None:
    relay.add("limit_data", bytes=100)
    client = await relay.connect()
    await client.ask(b"x" * 60)
    client.writer.write(b"y" * 60)
    assert await client.rest() == b"y" * 40
    await (await relay.connect()).ask(b"x" * 60)


async def test_toxicity_is_decided_per_connection(relay: Relay) -> None:
    relay.add("timeout", "upstream", toxicity=0.5, timeout=0)
    clients = [await relay.connect() for _ in range(40)]
    for client in clients:
        client.writer.write(b"x")
    silent = await asyncio.gather(*(client.is_silent(0.5) for client in clients))
    assert 5 < sum(silent) < 35
    spared = clients[silent.index(False)]
    for _ in range(20):
        await spared.ask()


async def test_toxics_on_one_proxy_leave_others_alone(relay: Relay) -> None:
    upstream = relay.api.get("/proxies/echo").json()["upstream"]
    body = {"name": "other", "listen": "127.83.0.11:0", "upstream": upstream}
    other = Relay(relay.api, relay.upstream, relay.api.post("/proxies", json=body).json()["listen"])
    relay.add("timeout", timeout=0)
    client = await other.connect()
    assert await client.ask() < 0.2
    client.writer.close()
