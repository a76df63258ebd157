"""Building the seeded stores: a PostgreSQL data directory and a Qdrant storage directory with the whole catalogue."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg

from sandbox.data import rows
from sandbox.data.catalogue import Item, catalogue, vector
from sandbox.ports import free_port
from sandbox.postgres import programs
from sandbox.postgres.options import COMMON, arguments
from sandbox.process import Identity, die_with_parent, unprivileged
from sandbox.qdrant.build import build_shard, shard_directory
from sandbox.state import make_home

COLLECTION = "media_content"
DATABASE = "media_gateway"
_SCHEMA = Path(__file__).with_name("schema.sql")
_START_PATIENCE_S = 30.0
# Loopback is not a border between users of one machine; the sandbox holds nothing that is worth one.
_ACCESS = "host all all 127.0.0.0/8 trust\nhost replication all 127.0.0.0/8 trust\n"
# Little log of writes, since every primary starts with a copy of it.
_LOADING = {
    "log_min_messages": "fatal",
    "max_wal_senders": "0",
    "max_wal_size": "6MB",
    "min_wal_size": "2MB",
    "wal_keep_size": "0",
    "wal_level": "minimal",
}
_ROLES = """
    create role media login;
    grant pg_monitor to media;
    create role replicator login replication;
"""


def build(directory: Path, password: str, progress: Callable[[str], None]) -> None:
    """Fill `directory` with `postgres/` and `qdrant/`."""
    items = catalogue()
    progress(f"data: loading {len(items)} items into PostgreSQL")
    _build_postgres(directory / "postgres", items, password)
    progress(f"data: indexing {len(items)} vectors")
    _build_qdrant(directory / "qdrant", items)


def _build_qdrant(storage: Path, items: list[Item]) -> None:
    points = ((item.number, vector(item), payload(item)) for item in items)
    build_shard(shard_directory(storage, COLLECTION), points, keyword_fields=("genres", "platforms"))


def payload(item: Item) -> dict[str, Any]:
    """What the vector store keeps of an item beside its vector."""
    return {
        "id": item.id,
        "title": item.title,
        "genres": list(item.genres),
        "platforms": list(item.platforms),
        "release_year": item.release_year,
        "popularity_score": item.popularity_score,
    }


def _build_postgres(destination: Path, items: list[Item], password: str) -> None:
    """Build among the sandboxes: a cache below root's home is out of reach for the user that PostgreSQL runs as."""
    identity = unprivileged()
    with tempfile.TemporaryDirectory(prefix=".building-", dir=make_home()) as name:
        workshop = Path(name)
        workshop.chmod(0o711)
        bin_directory = programs.usable(identity, workshop)
        data = _initialise(bin_directory, workshop, identity)
        with _server(bin_directory, data, identity) as port:
            asyncio.run(_fill(port, items, password))
        shutil.move(data, destination)


def _initialise(bin_directory: Path, workshop: Path, identity: Identity | None) -> Path:
    data = workshop / "pgdata"
    data.mkdir(mode=0o700)
    if identity is not None:
        os.chown(data, identity.uid, identity.gid)
    # Segments of 1 MB: four servers with segments of 16 MB take 280 MB more.
    options = ["-U", "postgres", "--auth=trust", "--no-sync", "--no-locale", "-E", "UTF8", "--wal-segsize=1"]
    command = [str(bin_directory / "initdb"), "-D", str(data), *options]
    done = subprocess.run(command, cwd="/", text=True, capture_output=True, check=False, **_as(identity))
    if done.returncode != 0:
        raise RuntimeError(f"initdb failed: {done.stderr.strip()}")
    (data / "pg_hba.conf").write_text(_ACCESS)
    return data


@contextmanager
def _server(bin_directory: Path, data: Path, identity: Identity | None) -> Iterator[int]:
    """A server on `data` for as long as the context lasts; yields its port on 127.0.0.1."""
    port = free_port()
    settings = COMMON | _LOADING | {"listen_addresses": "127.0.0.1", "port": str(port)}
    command = [str(bin_directory / "postgres"), "-D", str(data), *arguments(settings)]
    server = subprocess.Popen(command, cwd="/", stdout=subprocess.DEVNULL, stderr=sys.stderr, **_as(identity))
    try:
        yield port
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(_START_PATIENCE_S)


def _as(identity: Identity | None) -> dict[str, Any]:
    user = {} if identity is None else {"user": identity.uid, "group": identity.gid, "extra_groups": []}
    return {"preexec_fn": die_with_parent, **user}


async def _fill(port: int, items: list[Item], password: str) -> None:
    await _execute(port, "postgres", "postgres", [_ROLES, f"create database {DATABASE} owner media"])
    connection = await _connect(port, "media", DATABASE)
    try:
        await connection.execute(_SCHEMA.read_text())
        await _copy(connection, items, password)
    finally:
        await connection.close()
    await _execute(port, "postgres", DATABASE, ["vacuum (freeze, analyze)", "checkpoint"])


async def _execute(port: int, user: str, database: str, statements: list[str]) -> None:
    connection = await _connect(port, user, database)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def _copy(connection: asyncpg.Connection, items: list[Item], password: str) -> None:
    columns = ["id", "number", "title", "overview", "release_year", "genres", "platforms", "popularity_score"]
    content = [tuple(getattr(item, column) for column in columns) for item in items]
    await connection.copy_records_to_table("content", records=content, columns=columns)
    await connection.copy_records_to_table("content_availability", records=rows.availability(items))
    await connection.copy_records_to_table("users", records=rows.users(password))


async def _connect(port: int, user: str, database: str) -> asyncpg.Connection:
    """A connection; waits up to 30 s for the server to come up."""
    deadline = time.monotonic() + _START_PATIENCE_S
    while True:
        try:
            return await asyncpg.connect(host="127.0.0.1", port=port, user=user, database=database, timeout=5)
        except (OSError, asyncpg.CannotConnectNowError):
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.05)
