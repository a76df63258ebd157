"""The PostgreSQL pods as processes: a primary with data, streaming replicas, and what happens when one is killed."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from sandbox.data.cache import prepared
from sandbox.ports import free_port
from sandbox.postgres import programs
from sandbox.process import die_with_parent, unprivileged

DEADLINE_S = 15.0


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait for a condition; a server that is not up yet is a condition that does not hold yet."""
    deadline = time.monotonic() + DEADLINE_S
    while True:
        try:
            if await condition():
                return
        except (OSError, asyncpg.PostgresError):
            pass
        assert time.monotonic() < deadline, f"not within {DEADLINE_S:g} s"
        await asyncio.sleep(0.02)


@dataclass
class Servers:
    """A primary and replicas at 127.98.0.n, all on one port."""

    directory: Path
    seed: Path
    port: int = field(default_factory=free_port)
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str, number: int, *, fresh: bool = True) -> None:
        volume = self.directory / name
        if fresh:
            shutil.rmtree(volume, ignore_errors=True)
        volume.mkdir(exist_ok=True)
        command = [sys.executable, "-m", "sandbox.postgres", "replica" if "replica" in name else "primary"]
        environment = self.environment(name, number)
        self.running[name] = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, preexec_fn=die_with_parent)  # noqa: PLW1509 - no threads here

    def follows(self, name: str, number: int) -> bool:
        """Whether the replica is alive and a copy of the primary that there is."""
        command = [sys.executable, "-m", "sandbox.postgres", "follows"]
        return subprocess.run(command, env=self.environment(name, number), capture_output=True, check=False).returncode == 0

    def environment(self, name: str, number: int) -> dict[str, str]:
        return os.environ | {
            "POD_NAME": name,
            "POD_IP": f"127.98.0.{number}",
            "PORT": str(self.port),
            "VOLUME_DATA": str(self.directory / name),
            "POSTGRES_BIN": str(programs.usable(unprivileged(), self.directory)),
            "POSTGRES_SEED_DIR": str(self.seed),
            "PRIMARY_HOST": "127.98.0.1",
            "PRIMARY_PORT": str(self.port),
        }

    def end(self, name: str, number: int) -> int:
        server = self.running.pop(name)
        server.send_signal(number)
        return server.wait(DEADLINE_S)

    async def fetch(self, number: int, query: str) -> list[tuple[Any, ...]]:
        connection = await asyncpg.connect(host=f"127.98.0.{number}", port=self.port, user="media", database="media_gateway", timeout=5)
        try:
            return [tuple(row) for row in await connection.fetch(query)]
        finally:
            await connection.close()

    async def streaming(self) -> set[str]:
        rows = await self.fetch(1, "select application_name from pg_stat_replication where state = 'streaming'")
        return {row[0] for row in rows}


@pytest.fixture(scope="module")
def seed() -> Path:
    return prepared("sandbox", lambda _: None).postgres


@pytest.fixture
async def servers(seed: Path) -> AsyncIterator[Servers]:
    # Not pytest's own directory: that one is closed to the user that PostgreSQL runs as.
    with tempfile.TemporaryDirectory(prefix="chaos-sandbox-test-") as name:
        Path(name).chmod(0o711)
        servers = Servers(Path(name), seed)
        servers.start("postgresql-0", 1)
        for number in range(3):
            servers.start(f"postgresql-replica-{number}", number + 2)
        try:
            yield servers
        finally:
            for server in list(servers.running):
                servers.end(server, signal.SIGINT)


async def test_replicas_stream_and_survive_kills(servers: Servers) -> None:
    names = {f"postgresql-replica-{number}" for number in range(3)}

    async def all_stream() -> bool:
        return await servers.streaming() == names

    await until(all_stream)
    assert await servers.fetch(1, "select count(*), count(distinct id) from content") == [(10_000, 10_000)]
    await shows_writes(servers, "user-1")

    # The pod is gone with its data: a new base backup.
    servers.end("postgresql-replica-1", signal.SIGKILL)
    servers.start("postgresql-replica-1", 3)
    await until(all_stream)
    # Its container alone has died: the data is used again.
    servers.end("postgresql-replica-2", signal.SIGKILL)
    servers.start("postgresql-replica-2", 4, fresh=False)
    await until(all_stream)
    await shows_writes(servers, "user-2")

    servers.end("postgresql-0", signal.SIGKILL)
    assert await servers.fetch(2, "select count(*) from users") == [(1_000,)]
    servers.start("postgresql-0", 1, fresh=False)
    await until(all_stream)
    await shows_writes(servers, "user-3")
    assert servers.end("postgresql-replica-0", signal.SIGINT) == 0


async def test_a_replica_of_a_primary_that_is_lost_with_its_data_copies_the_new_one(servers: Servers) -> None:
    names = {f"postgresql-replica-{number}" for number in range(3)}

    async def all_stream() -> bool:
        return await servers.streaming() == names

    await until(all_stream)
    await shows_writes(servers, "user-of-the-first")
    assert servers.follows("postgresql-replica-0", 2)
    servers.end("postgresql-0", signal.SIGKILL)
    assert servers.follows("postgresql-replica-0", 2), "a primary that is away is no reason to give the replica up"
    servers.start("postgresql-0", 1)

    async def told_apart() -> bool:
        return not any(servers.follows(f"postgresql-replica-{number}", number + 2) for number in range(3))

    await until(told_apart)
    for number in range(3):
        servers.end(f"postgresql-replica-{number}", signal.SIGKILL)
        servers.start(f"postgresql-replica-{number}", number + 2, fresh=False)
    await until(all_stream)
    await shows_writes(servers, "user-of-the-second")
    assert servers.follows("postgresql-replica-0", 2)
    for number in (2, 3, 4):
        assert await servers.fetch(number, "select user_id from watchlist") == [("user-of-the-second",)]
    servers.end("postgresql-replica-0", signal.SIGKILL)
    assert not servers.follows("postgresql-replica-0", 2)


def test_a_primary_that_nobody_finds_in_time_is_no_reason_to_give_a_replica_up(tmp_path: Path) -> None:
    """A client that hangs, as in a slow look-up of the name; whoever looks must be done before the pod's probe gives up, after 5 s."""
    (tmp_path / "pgdata").mkdir()
    (tmp_path / "pgdata/incarnation").write_text("first")
    (tmp_path / "psql").write_text("#!/bin/sh\nexec sleep 60\n")
    (tmp_path / "psql").chmod(0o755)
    with socket.create_server(("127.0.0.1", 0)) as replica:
        pod = {"POD_NAME": "postgresql-replica-0", "POD_IP": "127.0.0.1", "PORT": str(replica.getsockname()[1])}
        rest = {"VOLUME_DATA": str(tmp_path), "POSTGRES_BIN": str(tmp_path), "PRIMARY_HOST": "postgresql", "PRIMARY_PORT": "5432"}
        command = [sys.executable, "-m", "sandbox.postgres", "follows"]
        done = subprocess.run(command, env=os.environ | pod | rest, capture_output=True, check=False, timeout=30)
    assert done.returncode == 0, done.stderr


async def shows_writes(servers: Servers, user: str) -> None:
    """What is written at the primary appears at every replica."""
    row = f"values ('{user}', 'content-00001', '{{tag}}', '{{}}', '1')"
    await servers.fetch(1, f"insert into watchlist {row} returning user_id")
    for number in (2, 3, 4):

        async def visible(number: int = number) -> bool:
            return len(await servers.fetch(number, f"select 1 from watchlist where user_id = '{user}'")) == 1

        await until(visible)


async def test_search_finds_genres_and_words(servers: Servers) -> None:
    query = "select id from content where search @@ websearch_to_tsquery('english', '{words}') limit 5"
    for words in ("horror space", "weddings"):

        async def found(words: str = words) -> bool:
            return len(await servers.fetch(1, query.format(words=words))) == 5

        await until(found)


async def test_replicas_only_read(servers: Servers) -> None:
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        await read_only(servers)


async def read_only(servers: Servers) -> None:
    async def replica_answers() -> bool:
        return await servers.fetch(2, "select 1") == [(1,)]

    await until(replica_answers)
    await servers.fetch(2, "delete from watchlist returning user_id")
