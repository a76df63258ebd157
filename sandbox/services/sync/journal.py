"""Changes in PostgreSQL: the merged state and the message to publish, in one transaction."""

import time
from dataclasses import dataclass

import asyncpg
import orjson

from sandbox.services.crdt import Element, HybridClock, Register, Stamp
from sandbox.services.database import Connection, Server, Work
from sandbox.services.sync.operation import Operation, Progress

# Users' changes are ordered by this lock, so that the outbox ids of a user are in the order of the commits.
_LOCK = "SELECT pg_advisory_xact_lock(1, hashtext($1))"
_REMEMBER = "INSERT INTO sync_operations (user_id, operation_id, hlc) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING RETURNING hlc"
_REMEMBERED = "SELECT hlc FROM sync_operations WHERE user_id = $1 AND operation_id = $2"
_FORGET = "DELETE FROM sync_operations WHERE created_at < now() - make_interval(secs => $1)"
_ELEMENT = "SELECT add_tags, removed_tags, updated_hlc FROM watchlist WHERE user_id = $1 AND content_id = $2"
_PUT_ELEMENT = """
INSERT INTO watchlist (user_id, content_id, add_tags, removed_tags, updated_hlc) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (user_id, content_id) DO UPDATE SET add_tags = $3, removed_tags = $4, updated_hlc = $5
"""
_REGISTER = "SELECT position_seconds, duration_seconds, state, hlc FROM progress WHERE user_id = $1 AND content_id = $2"
_PUT_REGISTER = """
INSERT INTO progress (user_id, content_id, position_seconds, duration_seconds, state, hlc, device_id)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (user_id, content_id) DO UPDATE
SET position_seconds = $3, duration_seconds = $4, state = $5, hlc = $6, device_id = $7
"""
_PUT_MESSAGE = "INSERT INTO sync_outbox (user_id, channel, operation_id, message) VALUES ($1, $2, $3, $4)"
_WATCHLIST = """
SELECT content_id, updated_hlc FROM watchlist WHERE user_id = $1 AND NOT add_tags <@ removed_tags ORDER BY updated_hlc
"""


@dataclass(frozen=True, slots=True)
class Accepted:
    """A change that is kept; `repeated` when its operation_id was known already and nothing was done."""

    hlc: str
    repeated: bool


class Journal:
    """The changes of all users; every method raises DatabaseDown when the primary is away."""

    def __init__(self, primary: Server, node: str) -> None:
        self._primary = primary
        self._clock = HybridClock(node, lambda: time.time_ns() // 1_000_000)

    async def forget(self, *, older_than_s: float) -> None:
        """Drops operations that nobody will repeat any more."""
        await self._primary.run(lambda connection: connection.execute(_FORGET, older_than_s))

    async def watchlist(self, user_id: str) -> list[asyncpg.Record]:
        """The user's items, the latest change last."""
        return await self._primary.run(lambda connection: connection.fetch(_WATCHLIST, user_id))

    async def change_watchlist(self, operation: Operation) -> Accepted:
        """Merges an add or remove into the user's set."""

        async def change(connection: Connection) -> Accepted:
            row = await connection.fetchrow(_ELEMENT, operation.user_id, operation.content_id)
            element = Element(frozenset(row["add_tags"]), frozenset(row["removed_tags"])) if row else Element()
            stamp = self._clock.now([Stamp.parse(row["updated_hlc"])] if row else [])
            if known := await _known(connection, operation, stamp):
                return known
            changed = element.add(operation.operation_id) if operation.verb == "add" else element.remove()
            tags = sorted(changed.add_tags), sorted(changed.removed_tags)
            await connection.execute(_PUT_ELEMENT, operation.user_id, operation.content_id, *tags, str(stamp))
            await _put_message(connection, operation, str(stamp))
            return Accepted(str(stamp), repeated=False)

        return await self._in_order(operation, change)

    async def change_progress(self, operation: Operation, progress: Progress) -> Accepted:
        """Writes the position, unless a later one is there."""

        async def change(connection: Connection) -> Accepted:
            row = await connection.fetchrow(_REGISTER, operation.user_id, operation.content_id)
            stamp = self._clock.now([Stamp.parse(row["hlc"])] if row else [])
            if known := await _known(connection, operation, stamp):
                return known
            register = Register(stamp, (progress.position_s, progress.duration_s, progress.state))
            if row:
                value = row["position_seconds"], row["duration_seconds"], row["state"]
                register = register.merge(Register(Stamp.parse(row["hlc"]), value))
            key = operation.user_id, operation.content_id
            await connection.execute(_PUT_REGISTER, *key, *register.value, str(register.stamp), operation.device_id)
            await _put_message(connection, operation, str(stamp))
            return Accepted(str(stamp), repeated=False)

        return await self._in_order(operation, change)

    async def _in_order(self, operation: Operation, change: Work[Accepted]) -> Accepted:
        async def work(connection: Connection) -> Accepted:
            async with connection.transaction():
                await connection.execute(_LOCK, operation.user_id)
                return await change(connection)

        return await self._primary.run(work)


async def _known(connection: Connection, operation: Operation, stamp: Stamp) -> Accepted | None:
    """The earlier acceptance of a repeated operation; remembers a new one."""
    key = operation.user_id, operation.operation_id
    if await connection.fetchval(_REMEMBER, *key, str(stamp)):
        return None
    return Accepted(await connection.fetchval(_REMEMBERED, *key), repeated=True)


async def _put_message(connection: Connection, operation: Operation, hlc: str) -> None:
    # The outbox wants ids that are unique over all users; clients choose theirs.
    unique_id = f"{operation.user_id}/{operation.operation_id}"
    message = orjson.dumps(operation.message(hlc)).decode()
    await connection.execute(_PUT_MESSAGE, operation.user_id, operation.channel, unique_id, message)
