"""Outages of a run's own dependencies: what the cases are, and that a description leads through the relays and nowhere else."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from accuracy.matrix.tcp_relay import TcpRelay
from accuracy.outages import dependencies
from accuracy.outages.cases import WAYS, cases
from accuracy.outages.dependencies import DEPENDENCIES, Place
from probes.target import TargetDescription

ORIGIN = "127.0.0.1:9"


def document() -> dict[str, Any]:
    """A description whose every dependency is at ORIGIN."""
    counter = {"workload": "sync-service", "metric": "calls_total"}
    link = {"kind": "link", "toxiproxy_url": f"http://{ORIGIN}", "canary_path": "/", "exposure": counter}
    replicas = {"postgresql-replica-0": f"postgresql://media@{ORIGIN}/media"}
    return {
        "name": "somewhere",
        "kubernetes": {"kubeconfig": "none", "context": "c", "namespace": "n"},
        "gateway_url": f"http://{ORIGIN}",
        "content_id_format": "content-{number}",
        "content_count": 1,
        "routes": {},
        "roles": {
            "pubnub-link": link | {"proxy": "pubnub"},
            "qdrant-link": link | {"proxy": "qdrant"},
            "redis": {"kind": "redis", "url": f"redis://{ORIGIN}/0"},
            "postgres-replica": {
                "kind": "postgres-replica",
                "statefulset": "postgresql-replica",
                "primary_dsn": f"postgresql://media@{ORIGIN}/media",
                "replica_dsns": replicas,
                "toxiproxy_url": f"http://{ORIGIN}",
                "proxies": {"postgresql-replica-0": "replica-0"},
            },
        },
        "breakers": [
            {"kind": "health", "name": "gateway->auth", "workload": "api-gateway", "path": "/health", "pointer": "/auth"},
            {"kind": "copy", "name": "sync->pubnub", "url": f"redis://{ORIGIN}/0", "key": "state"},
        ],
        "users": {"count": 1, "id_format": "u-{number}", "login_path": "/login", "password_env": "P"},
        "delivery": {"origin": f"http://{ORIGIN}", "subscribe_key": "s", "channel_format": "user.{user_id}", "route": "watchlist"},
    }


@pytest.mark.parametrize(("name", "places"), [("Toxiproxy", 3), ("Redis", 2), ("PostgreSQL", 2), ("PubNub", 1), ("metrics", 0)])
async def test_a_dependency_is_reached_through_relays_everywhere(name: str, places: int, tmp_path: Path) -> None:
    before = str(document()).count(ORIGIN)
    one = next(one for one in DEPENDENCIES if one.name == name)
    async with AsyncExitStack() as stack:
        place = Place(tmp_path, document(), stack)

        relays = await one.through(place)

        assert str(place.document).count(ORIGIN) == before - places
        assert all(relay.address in str(place.document) for relay in relays)
        TargetDescription.model_validate(place.document)


async def test_the_copy_of_a_breaker_is_cut_off_with_the_cache(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        place = Place(tmp_path, document(), stack)
        (relay,) = await dependencies.redis(place)
        assert place.document["roles"]["redis"]["url"] == f"redis://{relay.address}/0"
        assert place.document["breakers"][-1]["url"] == f"redis://{relay.address}/0"


def test_every_dependency_goes_away_in_both_ways_in_three_phases() -> None:
    found = cases()
    phases = {(one.dependency.name, one.way, one.moment.step if one.moment else "start") for one in found}
    assert len(found) == len(phases) == 36
    assert phases == set(product([one.name for one in DEPENDENCIES], WAYS, ["start", "injecting", "proof"]))
    assert {one.dependency.name for one in cases(frozenset({"Redis"}))} == {"Redis"}


async def test_a_relay_refuses_and_takes_connections_again() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read(10))
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with TcpRelay(*server.sockets[0].getsockname()) as relay:
        reader, held = await asyncio.open_connection(relay.host, relay.port)
        await relay.refuse()
        assert await reader.read() == b""
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(relay.host, relay.port)
        await relay.listen_again()
        reader, writer = await asyncio.open_connection(relay.host, relay.port)
        writer.write(b"again")
        assert await reader.read(10) == b"again"
        for one in (held, writer):
            one.close()
    server.close()
