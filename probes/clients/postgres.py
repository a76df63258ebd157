"""A PostgreSQL server, read-only: its statistics views."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import asyncpg

from probes.clients.connections import OWN_NAME, Connection
from probes.clients.unreachable import Unreachable, words

TIMEOUT_S = 1.0
_STANDBYS = """
select application_name, state, pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn)::bigint as lag_bytes
from pg_stat_replication where state <> 'backup' order by application_name
"""
_TRANSACTIONS = "select xact_commit + xact_rollback from pg_stat_database where datname = current_database()"
_CONNECTIONS = """
select pid::text || '/' || backend_start::text as identity, host(client_addr) as host,
    case when state = 'active' then 0 else extract(epoch from clock_timestamp() - state_change) end::float8 as idle_s
from pg_stat_activity
where backend_type = 'client backend' and client_addr is not null and application_name <> $1 and pid <> pg_backend_pid()
"""
_TROUBLE = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError)


@dataclass(frozen=True, slots=True)
class Standby:
    """One standby as the primary sees it. The lag is in bytes of WAL not yet replayed (0 where it is not known yet)."""

    name: str
    state: str
    lag_bytes: int


class PostgresReader:
    """One connection that is made again after each trouble. Every call raises Unreachable within its time-out."""

    def __init__(self, dsn: str, *, what: str, timeout_s: float = TIMEOUT_S) -> None:
        """`what` names the server in errors (a DSN may hold a password)."""
        self._dsn = dsn
        self._what = what
        self._timeout_s = timeout_s
        self._connection: asyncpg.Connection | None = None

    def close(self) -> None:
        """Drop the connection at once: a polite close hangs on a frozen server."""
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    async def standbys(self) -> list[Standby]:
        """Rows of pg_stat_replication; the server must be a primary."""
        rows = await self._fetch(_STANDBYS)
        return [Standby(row["application_name"], row["state"] or "", max(0, row["lag_bytes"] or 0)) for row in rows]

    async def transactions(self) -> int:
        """Transactions of this database on this one server, also a standby. The server publishes them within about a second."""
        rows = await self._fetch(_TRANSACTIONS)
        return int(rows[0][0])

    async def connections(self) -> list[Connection]:
        """Clients of this server over the network, without ours and without its replicas."""
        rows = await self._fetch(_CONNECTIONS, OWN_NAME)
        return [Connection(row["identity"], row["host"], row["idle_s"]) for row in rows]

    async def ping(self) -> None:
        await self._fetch("select 1")

    async def _fetch(self, query: str, *arguments: str) -> list[asyncpg.Record]:
        try:
            async with asyncio.timeout(self._timeout_s * 1.5):
                return await (await self._connected()).fetch(query, *arguments)
        except _TROUBLE as error:
            self.close()
            raise Unreachable(self._what, words(error)) from error
        except asyncio.CancelledError:
            # A query that was cut off leaves the connection busy.
            self.close()
            raise

    async def _connected(self) -> asyncpg.Connection:
        if self._connection is None or self._connection.is_closed():
            self._connection = await asyncpg.connect(
                self._dsn, timeout=self._timeout_s, command_timeout=self._timeout_s, server_settings={"application_name": OWN_NAME}
            )
        return self._connection
