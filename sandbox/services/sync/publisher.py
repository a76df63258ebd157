"""The way of the outbox to PubNub: in order per user, once, also across replicas."""

import asyncio
import logging
from enum import Enum, auto

import asyncpg

from sandbox.services.database import Connection, DatabaseDown, Server
from sandbox.services.sync.pubnub import NotPublished, PubNub
from sandbox.settings import Settings

# A lock of the session, not of a transaction: none is open while PubNub is waited for.
_LOCK = "SELECT pg_try_advisory_lock(2, hashtext($1))"
_UNLOCK = "SELECT pg_advisory_unlock(2, hashtext($1))"
_ROWS = """
SELECT id, channel, message, created_at < now() - interval '1 second' AS waited FROM sync_outbox WHERE user_id = $1 ORDER BY id{} LIMIT 50
"""
_DELETE = "DELETE FROM sync_outbox WHERE id = $1"
_WAITING = "SELECT DISTINCT user_id FROM sync_outbox WHERE created_at < now() - interval '200 milliseconds' LIMIT 1000"
_DROP = "DELETE FROM sync_outbox RETURNING user_id"
_BUSY_RETRY_S = 0.05
# Long enough for 50 messages at a slow PubNub; each statement has the primary's own time-out.
_DRAIN_LIMIT_S = 60.0


class Outcome(Enum):
    """How far a user's messages got."""

    EMPTY = auto()
    MORE = auto()
    BUSY = auto()
    STUCK = auto()


class Publisher:
    """Publishes the waiting messages of users who are woken, and looks for forgotten ones now and then."""

    def __init__(self, primary: Server, pubnub: PubNub, settings: Settings) -> None:
        self._primary = primary
        self._pubnub = pubnub
        self._settings = settings
        self._queue: asyncio.Queue[str] = asyncio.Queue()
        self._queued: set[str] = set()
        self._published: set[int] = set()
        self._rows = _ROWS.format("" if settings.sync_replays_in_order else " DESC")
        self._log = logging.getLogger("sync")

    def wake(self, user_id: str) -> None:
        """Says that this user has a message waiting; returns at once."""
        if user_id not in self._queued and self._pubnub.guard.breaker.would_admit():
            self._queued.add(user_id)
            self._queue.put_nowait(user_id)

    async def run(self) -> None:
        """Works until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._settings.sync_publishers):
                group.create_task(self._work())
            group.create_task(self._replay())

    async def _work(self) -> None:
        while True:
            user_id = await self._queue.get()
            self._queued.discard(user_id)
            try:
                outcome = await self._primary.run(lambda connection: self._drain(connection, user_id), limit_s=_DRAIN_LIMIT_S)  # noqa: B023 - awaited here
            except DatabaseDown as error:
                self._log.warning("the outbox was not read", extra={"cause": str(error)})
                continue
            if outcome is Outcome.BUSY:
                asyncio.get_running_loop().call_later(_BUSY_RETRY_S, self.wake, user_id)
            elif outcome is Outcome.MORE:
                self.wake(user_id)

    async def _replay(self) -> None:
        while True:
            await asyncio.sleep(self._settings.sync_replay_s)
            away = not self._pubnub.guard.breaker.would_admit()
            if away and self._settings.sync_keeps_unpublished:
                continue
            statement = _DROP if away else _WAITING
            try:
                rows = await self._primary.run(lambda connection: connection.fetch(statement))  # noqa: B023 - awaited here
            except DatabaseDown as error:
                self._log.warning("the outbox was not read", extra={"cause": str(error)})
                continue
            for row in rows:
                self.wake(row["user_id"])

    async def _drain(self, connection: Connection, user_id: str) -> Outcome:
        timeout_s = self._settings.postgres_timeout_s
        if not await connection.fetchval(_LOCK, user_id, timeout=timeout_s):
            return Outcome.BUSY
        try:
            # Read after the lock, in a statement of its own: an older snapshot would show what another replica published.
            rows = await connection.fetch(self._rows, user_id, timeout=timeout_s)
            for row in rows:
                await self._publish(connection, row, timeout_s)
        except NotPublished as error:
            self._log.info("messages stay in the outbox", extra={"cause": str(error)})
            return Outcome.STUCK
        finally:
            await connection.execute(_UNLOCK, user_id, timeout=timeout_s)
        return Outcome.MORE if rows else Outcome.EMPTY

    async def _publish(self, connection: Connection, row: asyncpg.Record, timeout_s: float) -> None:
        if row["id"] not in self._published:
            await self._send(row)
        self._published.add(row["id"])
        await connection.execute(_DELETE, row["id"], timeout=timeout_s)
        self._published.discard(row["id"])

    async def _send(self, row: asyncpg.Record) -> None:
        for _ in range(self._settings.sync_replay_copies if row["waited"] else 1):
            await self._pubnub.publish(row["channel"], row["message"].encode())
