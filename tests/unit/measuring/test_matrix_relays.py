"""The relays on loopback: what passes, what is held back, what is acknowledged and not done."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from accuracy.matrix.misbehaviour import PastTheLink, RefusingHeal, Swallowing
from accuracy.matrix.tcp_relay import TcpRelay
from accuracy.matrix.toxiproxy_relay import Call, Reply, ToxiproxyRelay

PROXY = {"name": "pubnub", "listen": "127.0.0.1:1", "upstream": "127.0.0.1:2", "enabled": True, "toxics": []}
TOXIC = {"name": "late", "type": "latency", "attributes": {"latency": 200}}


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1000):
        writer.write(data)
    writer.close()


async def test_a_relay_holds_both_old_and_new_connections_and_loses_nothing() -> None:
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with TcpRelay(*server.sockets[0].getsockname()) as relay:
        reader, writer = await asyncio.open_connection(relay.host, relay.port)
        writer.write(b"before")
        assert await reader.readexactly(6) == b"before"
        relay.hold()
        writer.write(b"meanwhile")
        new_reader, new_writer = await asyncio.open_connection(relay.host, relay.port)
        new_writer.write(b"new")
        reading = [asyncio.create_task(reader.read(100)), asyncio.create_task(new_reader.read(100))]
        # Many turns of the loop, in which everything that can pass has passed.
        for _ in range(200):
            await asyncio.sleep(0)
        assert not any(task.done() for task in reading)
        relay.release()
        assert await asyncio.gather(*reading) == [b"meanwhile", b"new"]
        for one in (writer, new_writer):
            one.close()
    server.close()


async def test_a_relay_passes_the_end_of_a_connection_on() -> None:
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with TcpRelay(*server.sockets[0].getsockname()) as relay:
        reader, writer = await asyncio.open_connection(relay.host, relay.port)
        writer.write(b"last words")
        writer.write_eof()
        assert await reader.read() == b"last words"
        writer.close()
    server.close()


class Api:
    """A Toxiproxy that remembers what reached it."""

    def __init__(self) -> None:
        self.proxy: dict[str, Any] = dict(PROXY)
        self.writes: list[str] = []

    async def __call__(self, call: Call) -> Reply:
        if call.method != "GET":
            self.writes.append(f"{call.method} {call.path}")
            self.proxy |= call.document() if len(call.parts) == 2 else {}
        return Reply.of(self.proxy)


def call(method: str, path: str, body: object = None) -> Call:
    return Call(method, path, b"" if body is None else json.dumps(body).encode())


async def test_a_swallowed_toxic_is_acknowledged_and_read_back_and_reaches_nobody() -> None:
    policy, api = Swallowing(), Api()
    put = await policy(call("POST", "/proxies/pubnub/toxics", TOXIC), api)
    assert (put.status, put.document()) == (200, TOXIC)
    assert (await policy(call("GET", "/proxies/pubnub/toxics/late"), api)).document() == TOXIC
    assert (await policy(call("GET", "/proxies/pubnub"), api)).document() == PROXY | {"toxics": [TOXIC]}
    assert (await policy(call("DELETE", "/proxies/pubnub/toxics/late"), api)).status == 204
    assert (await policy(call("GET", "/proxies/pubnub"), api)).document() == PROXY
    assert (await policy(call("DELETE", "/proxies/pubnub/toxics/late"), api)).status == 404
    assert api.writes == []


async def test_a_swallowed_switch_is_read_back_and_reaches_nobody() -> None:
    policy, api = Swallowing(), Api()
    assert (await policy(call("POST", "/proxies/pubnub", {"enabled": False}), api)).document()["enabled"] is False
    assert (await policy(call("GET", "/proxies/pubnub"), api)).document()["enabled"] is False
    assert (await policy(call("POST", "/proxies/pubnub", {"enabled": True}), api)).document() == PROXY
    assert api.writes == []
    assert policy.swallowed == 2


async def test_past_the_link_only_the_address_of_a_proxy_is_another() -> None:
    policy, api = PastTheLink(), Api()
    assert (await policy(call("GET", "/proxies/pubnub"), api)).document() == PROXY | {"listen": PROXY["upstream"]}
    await policy(call("POST", "/proxies/pubnub", {"enabled": False}), api)
    assert api.proxy["enabled"] is False


@pytest.mark.parametrize(
    "taking_away",
    [
        call("DELETE", "/proxies/pubnub/toxics/late"),
        call("DELETE", "/proxies/pubnub"),
        call("POST", "/proxies/pubnub", {"enabled": True}),
        call("POST", "/proxies", PROXY),
    ],
    ids=["toxic", "proxy", "enable", "make anew"],
)
@pytest.mark.parametrize("injection", [("/proxies/pubnub/toxics", TOXIC), ("/proxies/pubnub", {"enabled": False})], ids=["toxic", "switch"])
async def test_a_heal_is_refused_after_the_injection_and_never_before(injection: tuple[str, object], taking_away: Call) -> None:
    policy, api = RefusingHeal(), Api()
    assert (await policy(taking_away, api)).status == 200
    assert (await policy(call("POST", *injection), api)).status == 200
    reached = list(api.writes)
    assert (await policy(taking_away, api)).status == 500
    assert (await policy(call("GET", "/proxies/pubnub"), api)).status == 200
    assert api.writes == reached
    assert policy.refused == 1


async def test_the_relay_serves_its_policy_over_http_and_forwards() -> None:
    api = Api()

    async def policy(asked: Call, forward: object) -> Reply:
        return await api(asked)

    async with ToxiproxyRelay("http://127.0.0.1:9", policy) as relay, httpx.AsyncClient(base_url=relay.url, trust_env=False) as http:
        assert (await http.post("/proxies/pubnub", json={"enabled": False})).json()["enabled"] is False
        async with ToxiproxyRelay(relay.url, PastTheLink()) as second:
            assert (await http.get(f"{second.url}/proxies/pubnub")).json()["listen"] == PROXY["upstream"]


async def test_a_toxiproxy_that_is_away_is_a_bad_gateway() -> None:
    async with ToxiproxyRelay("http://127.0.0.1:1", PastTheLink()) as relay, httpx.AsyncClient(trust_env=False) as http:
        assert (await http.get(f"{relay.url}/proxies/pubnub")).status_code == 502
