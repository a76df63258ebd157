"""The relay behind Services: bytes, back-pressure, retries and resets."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from kube_harness import free_port

from sandbox.kube.serviceproxy.relay import Address, Backend, ClientHalf
from sandbox.kube.serviceproxy.table import ServiceTable

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any]


@asynccontextmanager
async def relay_to(*handlers: Handler, dead: int = 0) -> AsyncIterator[Address]:
    """A relay in front of one server per handler, after so many endpoints where nobody listens."""
    servers = [await asyncio.start_server(handler, "127.0.0.1", 0) for handler in handlers]
    backend = Backend()
    closed = [("127.0.0.1", free_port()) for _ in range(dead)]
    backend.endpoints = [*closed, *(server.sockets[0].getsockname() for server in servers)]
    relay = await asyncio.get_running_loop().create_server(lambda: ClientHalf(backend), "127.0.0.1", 0)
    try:
        yield relay.sockets[0].getsockname()
    finally:
        for server in (relay, *servers):
            server.close()
        await asyncio.sleep(0.01)


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


async def test_a_large_exchange_arrives_whole_through_a_slow_reader() -> None:
    sent = os.urandom(8_000_000)
    async with relay_to(echo) as address:
        reader, writer = await asyncio.open_connection(*address)
        writer.write(sent)
        received = bytearray()
        while len(received) < len(sent):
            received += await reader.read(100_000)
            await asyncio.sleep(0)
        assert bytes(received) == sent
        writer.close()


async def test_a_server_that_speaks_first_is_heard() -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        writer.close()

    async with relay_to(greet) as address:
        for _ in range(20):
            reader, writer = await asyncio.open_connection(*address)
            assert await asyncio.wait_for(reader.read(), 2) == b"hello"
            writer.close()


async def test_an_endpoint_that_refuses_is_passed_over_once() -> None:
    async with relay_to(echo, dead=1) as address:
        for _ in range(4):
            reader, writer = await asyncio.open_connection(*address)
            writer.write(b"x")
            assert await reader.read(1) == b"x"
            writer.close()


async def test_no_endpoint_at_all_resets_the_client() -> None:
    async with relay_to(dead=2) as address:
        reader, writer = await asyncio.open_connection(*address)
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(reader.read(1), 2)
        writer.close()


async def test_a_reset_passes_through() -> None:
    async def drop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        await reader.read(1)
        writer.transport.abort()

    async with relay_to(drop) as address:
        reader, writer = await asyncio.open_connection(*address)
        writer.write(b"x")
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(reader.read(1), 2)
        writer.close()


def test_routes_lead_to_ready_endpoints_of_services_with_an_address() -> None:
    def service(name: str, address: str) -> dict[str, Any]:
        ports = [{"name": "http", "port": 80}]
        return {"metadata": {"namespace": "n", "name": name}, "spec": {"clusterIP": address, "ports": ports}}

    def endpoint(address: str, ready: bool) -> dict[str, Any]:
        return {"addresses": [address], "conditions": {"ready": ready}}

    def slice_of(name: str, *endpoints: dict[str, Any]) -> dict[str, Any]:
        metadata = {"namespace": "n", "labels": {"kubernetes.io/service-name": name}}
        return {"metadata": metadata, "ports": [{"name": "http", "port": 8080}], "endpoints": list(endpoints)}

    table = ServiceTable()
    table.services |= {"1": service("a", "127.9.1.1"), "2": service("headless", "None"), "3": service("b", "127.9.1.3")}
    table.slices |= {
        "1": slice_of("a", endpoint("127.9.16.1", True), endpoint("127.9.16.2", False)),
        "2": slice_of("headless", endpoint("127.9.16.3", True)),
        "3": slice_of("b", endpoint("127.9.16.4", False)),
    }
    assert table.routes() == {("127.9.1.1", 80): [("127.9.16.1", 8080)]}
