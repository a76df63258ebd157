"""PostgreSQL: one small pool per server, and reads that go to the replicas and fail over to the primary."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import asyncpg

from sandbox.services.metrics import Metrics
from sandbox.settings import Settings

T = TypeVar("T")
# asyncpg's classes are generic in its stubs only.
if TYPE_CHECKING:
    Connection: TypeAlias = asyncpg.Connection[asyncpg.Record]
else:
    Connection = asyncpg.Connection
Work = Callable[[Connection], Awaitable[T]]

# A killed server shows up as any of these; InternalClientError ("cannot switch to state") is none of asyncpg's others.
BROKEN = (
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    OSError,
    TimeoutError,
)


class DatabaseDown(Exception):  # noqa: N818 - a state of the world, as StoreError's "did not answer"
    """A server, or every server that could answer, is away."""


class Server:
    """One PostgreSQL server with its idle connections; `alive` is what the last use of it showed, False before the first."""

    def __init__(self, name: str, dsn: str, timeout_s: float, settings: Settings, metrics: Metrics) -> None:
        self.name = name
        self.alive = False
        self._dsn = dsn
        self._timeout_s = timeout_s
        self._recheck_s = settings.database_recheck_s
        self._slots = asyncio.Semaphore(settings.postgres_connections)
        self._idle: list[Connection] = []
        self._metrics = metrics
        self._recheck: asyncio.Task[None] | None = None
        self._log = logging.getLogger("database")

    async def run(self, work: Work[T], *, limit_s: float | None = None) -> T:
        """Does the work on one connection; raises DatabaseDown when the server is away, asyncpg's errors otherwise."""
        try:
            async with asyncio.timeout(limit_s or self._timeout_s), self._slots:
                result = await self._counted(work)
        except BROKEN as error:
            self._put_aside(error)
            raise DatabaseDown(f"{self.name}: {type(error).__name__}: {error}") from error
        return result

    async def close(self) -> None:
        """Drops every connection."""
        if self._recheck:
            self._recheck.cancel()
            with suppress(asyncio.CancelledError):
                await self._recheck
        self._drop_idle()

    async def _counted(self, work: Work[T]) -> T:
        ok = False
        try:
            result = await self._on_connection(work)
            ok = True
        except asyncpg.PostgresError as error:
            ok = not isinstance(error, BROKEN)
            raise
        finally:
            self._metrics.called(self.name.rstrip("-0123456789"), ok=ok)
        return result

    async def _on_connection(self, work: Work[T]) -> T:
        connection, sound = await self._connection(), False
        try:
            result = await work(connection)
            sound = self.alive = True
        except asyncpg.PostgresError as error:
            sound = not isinstance(error, BROKEN) and not connection.is_in_transaction()
            raise
        finally:
            self._give_back(connection, sound=sound)
        return result

    async def _connection(self) -> Connection:
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                return connection
        return await asyncpg.connect(self._dsn, timeout=self._timeout_s, ssl=False)

    def _give_back(self, connection: Connection, *, sound: bool) -> None:
        if sound and not connection.is_closed():
            self._idle.append(connection)
        else:
            # close() would wait for an answer of a server that may be silent.
            connection.terminate()

    def _put_aside(self, error: BaseException) -> None:
        if self.alive:
            self._log.warning("database put aside", extra={"server": self.name, "cause": f"{type(error).__name__}: {error}"})
        self.alive = False
        self._drop_idle()
        if self._recheck is None or self._recheck.done():
            self._recheck = asyncio.create_task(self._until_it_answers())

    def _drop_idle(self) -> None:
        while self._idle:
            self._idle.pop().terminate()

    async def _until_it_answers(self) -> None:
        while not self.alive:
            await asyncio.sleep(self._recheck_s)
            with suppress(*BROKEN):
                async with asyncio.timeout(self._timeout_s):
                    await self._counted(_ping)
                self._log.warning("database answers again", extra={"server": self.name})


async def _ping(connection: Connection) -> None:
    await connection.fetchval("SELECT 1")


class Cluster:
    """A primary and its read replicas."""

    def __init__(self, primary: Server, replicas: list[Server], settings: Settings, metrics: Metrics) -> None:
        self.primary = primary
        self.replicas = replicas
        self._metrics = metrics
        self._failover = settings.replica_failover
        self._pinned = settings.replica_pinned
        self._turn = 0

    @property
    def answers(self) -> bool:
        """Whether some server answered when it was last used."""
        return any(server.alive for server in (self.primary, *self.replicas))

    async def warm_up(self) -> None:
        """Meets every server once, so that it is known which ones answer; those that do not are looked at again."""
        for server in (self.primary, *self.replicas):
            with suppress(DatabaseDown):
                await server.run(_ping)

    async def fetch(self, query: str, *arguments: Any) -> list[asyncpg.Record]:
        """Reads rows from the next replica, a further one, or the primary; raises DatabaseDown when all are away."""
        return await self.read(lambda connection: connection.fetch(query, *arguments))

    async def read(self, work: Work[T], *, limit_s: float | None = None) -> T:
        """Does reading work wherever a server answers; `limit_s` per server, else each server's own."""
        last: DatabaseDown | None = None
        for server in self.order():
            try:
                return await server.run(work, limit_s=limit_s)
            except DatabaseDown as error:
                last = error
                self._metrics.fallbacks.add("database-failover")
        raise last or DatabaseDown("no database server is known")

    def order(self) -> list[Server]:
        """The servers that the next read tries, one after another."""
        self._turn += 1
        start = self._turn % max(1, len(self.replicas))
        ring = self.replicas[-1:] if self._pinned else self.replicas[start:] + self.replicas[:start]
        if not self._failover:
            return ring[:1] or [self.primary]
        living = [server for server in ring if server.alive]
        return [*living, self.primary]

    async def close(self) -> None:
        """Drops every connection."""
        await asyncio.gather(*(server.close() for server in (self.primary, *self.replicas)))


def cluster(primary_dsn: str, replica_dsns: list[str], settings: Settings, metrics: Metrics) -> Cluster:
    """The cluster behind these addresses; nothing is connected yet."""
    primary = Server("postgres-primary", primary_dsn, settings.postgres_timeout_s, settings, metrics)
    replicas = [
        Server(f"postgres-replica-{number}", dsn, settings.replica_timeout_s, settings, metrics) for number, dsn in enumerate(replica_dsns)
    ]
    return Cluster(primary, replicas, settings, metrics)
