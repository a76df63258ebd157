"""Starting a PostgreSQL server in a pod: data directory first, then this process becomes the server."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from sandbox.postgres import incarnation, leftovers, programs
from sandbox.postgres.options import COMMON, REPLICA, arguments
from sandbox.process import Identity, die_with_parent, give_up_root, listening_host, unprivileged

_PRIMARY_PATIENCE_S = 60.0
_RETRY_S = 0.1
_LOOK_S = 3  # a probe of a pod gives up after 5 s
# A pod's name exists once: whoever still holds its slot is the connection of its predecessor.
_CLAIM_SLOT = """
    select pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = '{slot}' and active;
    select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = '{slot}' and wal_status = 'lost';
    select pg_create_physical_replication_slot('{slot}', true)
     where not exists (select from pg_replication_slots where slot_name = '{slot}');
"""


@dataclass(frozen=True, slots=True)
class Server:
    """Where one server listens, keeps its data and finds its programs."""

    name: str
    host: str
    port: int
    data: Path
    programs: Path
    access: str

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "Server":
        """The server that a pod's environment describes."""
        return cls(
            name=environment["POD_NAME"],
            host=listening_host(environment),
            port=int(environment["PORT"]),
            data=Path(environment["VOLUME_DATA"]) / "pgdata",
            programs=Path(environment["POSTGRES_BIN"]) if "POSTGRES_BIN" in environment else programs.packaged(),
            access=environment.get("POSTGRES_HBA_FILE", ""),
        )


def primary(environment: Mapping[str, str]) -> NoReturn:
    """Start the primary: from its own data where there is some, else from a copy of the seed."""
    server, identity = Server.of(environment), unprivileged()
    _own(server.data.parent, identity)
    if not server.data.exists():
        fresh = _fresh(server.data)
        shutil.copytree(environment["POSTGRES_SEED_DIR"], fresh)
        incarnation.begin(fresh)
        _own_tree(fresh, identity)
        fresh.rename(server.data)
    give_up_root(identity)
    _become(server, {})


def replica(environment: Mapping[str, str]) -> NoReturn:
    """Start a streaming replica: from its own data where it is a copy of this primary, else from a base backup."""
    server, identity = Server.of(environment), unprivileged()
    _own(server.data.parent, identity)
    give_up_root(identity)
    slot = server.name.replace("-", "_")
    link = _link(environment)
    _claim_slot(server, link, slot)
    if server.data.exists() and incarnation.of(server.data) != _insist(_query(server, link, incarnation.QUERY)).strip():
        shutil.rmtree(server.data)
    if not server.data.exists():
        _base_backup(server, link)
    stream = {"primary_conninfo": f"{link} application_name={server.name}", "primary_slot_name": slot}
    _become(server, {**REPLICA, **stream})


def follows(environment: Mapping[str, str]) -> NoReturn:
    """Exit code 1 when the replica does not listen, or is no copy of the primary that answers; 0 also when none answers."""
    server = Server.of(environment)
    try:
        socket.create_connection((environment["POD_IP"], server.port), _LOOK_S).close()
        own = incarnation.of(server.data)
    except OSError as error:
        sys.exit(f"{server.name} is not there: {error}")
    try:
        told = _run(_query(server, _link(environment, timeout_s=_LOOK_S), incarnation.QUERY), within_s=_LOOK_S)
    except subprocess.TimeoutExpired:  # its own limit is for connecting alone, not for finding the address
        sys.exit(0)
    if told.returncode == 0 and told.stdout.strip() != own:
        sys.exit(f"{server.name} is a copy of a primary that is gone")
    sys.exit(0)


def _link(environment: Mapping[str, str], *, timeout_s: int = 5) -> str:
    """The way to the primary."""
    return f"host={environment['PRIMARY_HOST']} port={environment['PRIMARY_PORT']} user=replicator connect_timeout={timeout_s}"


def _claim_slot(server: Server, link: str, slot: str) -> None:
    """Make the replica's slot on the primary usable."""
    _insist(_query(server, link, _CLAIM_SLOT.format(slot=slot)))


def _query(server: Server, link: str, text: str) -> list[str]:
    return [str(server.programs / "psql"), "-qAtX", "-v", "ON_ERROR_STOP=1", "-d", f"{link} dbname=postgres", "-c", text]


def _base_backup(server: Server, link: str) -> None:
    fresh = _fresh(server.data)
    options = ["-X", "stream", "-c", "fast", "--no-sync", "--no-manifest"]
    _insist([str(server.programs / "pg_basebackup"), "-d", link, "-D", str(fresh), *options])
    (fresh / "standby.signal").touch()
    fresh.rename(server.data)


def _insist(command: list[str]) -> str:
    """Run a client of the primary until it succeeds, for up to a minute: the primary may start later than we do. What it says."""
    deadline = time.monotonic() + _PRIMARY_PATIENCE_S
    while (done := _run(command)).returncode != 0:
        if time.monotonic() > deadline:
            sys.exit(f"{Path(command[0]).name} had no success in {_PRIMARY_PATIENCE_S:.0f} s: {done.stderr.strip()}")
        time.sleep(_RETRY_S)
    return done.stdout


def _become(server: Server, settings: dict[str, str]) -> NoReturn:
    """Replace this process by the server: same pid, so whoever started us signals and reaps the server itself."""
    leftovers.clear(server.data)
    settings = settings | incarnation.setting(server.data)
    listen = {"listen_addresses": server.host, "port": str(server.port), "cluster_name": server.name}
    access = {"hba_file": server.access} if server.access else {}
    program = str(server.programs / "postgres")
    os.chdir("/")
    command = [program, "-D", str(server.data), *arguments(COMMON | listen | access | settings)]
    os.execve(program, command, {"LC_ALL": "C", "PATH": os.defpath})


def _run(command: list[str], *, within_s: float | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd="/", text=True, capture_output=True, check=False, timeout=within_s, preexec_fn=die_with_parent)


def _fresh(data: Path) -> Path:
    """A path beside `data` on which nothing stands: what is there came from a start that was cut short."""
    fresh = data.with_name("pgdata.new")
    shutil.rmtree(fresh, ignore_errors=True)
    return fresh


def _own(path: Path, identity: Identity | None) -> None:
    if identity is not None:
        os.chown(path, identity.uid, identity.gid)


def _own_tree(top: Path, identity: Identity | None) -> None:
    top.chmod(0o700)
    for directory, _, files in os.walk(top):
        for name in (".", *files):
            _own(Path(directory, name), identity)
