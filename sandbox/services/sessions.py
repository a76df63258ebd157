"""Sessions: the truth in PostgreSQL, a copy in Redis for speed."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import orjson

from sandbox.services.database import Cluster
from sandbox.services.guard import StoreError
from sandbox.services.metrics import Metrics
from sandbox.services.store import Store
from sandbox.settings import Settings

_INSERT = "INSERT INTO sessions (id, user_id, created_at, expires_at) VALUES ($1, $2, $3, $4)"
_SELECT = "SELECT id, user_id, created_at, expires_at, revoked FROM sessions WHERE id = $1"
_REVOKE = "UPDATE sessions SET revoked = true WHERE id = $1"


@dataclass(frozen=True, slots=True)
class Session:
    """A login; times are ISO 8601."""

    session_id: str
    user_id: str
    created_at: str
    expires_at: str


class Sessions:
    """All sessions; methods raise DatabaseDown when PostgreSQL is needed and away."""

    def __init__(self, cluster: Cluster, store: Store, settings: Settings, metrics: Metrics) -> None:
        self._cluster = cluster
        self._store = store
        self._settings = settings
        self._metrics = metrics

    async def create(self, session_id: str, user_id: str) -> Session:
        """Begins a session."""
        now = datetime.now(UTC)
        until = now + timedelta(seconds=self._settings.session_s)
        await self._cluster.primary.run(lambda connection: connection.execute(_INSERT, session_id, user_id, now, until))
        session = Session(session_id, user_id, now.isoformat(), until.isoformat())
        await self._copy(session)
        return session

    async def find(self, session_id: str) -> Session | None:
        """The session while it is valid; read again from PostgreSQL, and copied, when Redis does not have it."""
        copy, known = await self._copied(session_id)
        if copy or not self._settings.session_fallback:
            return copy
        row = await self._read(session_id)
        session = _valid(row)
        if session and known:
            await self._copy(session)
        return session

    async def revoke(self, session_id: str) -> None:
        """Ends a session."""
        await self._cluster.primary.run(lambda connection: connection.execute(_REVOKE, session_id))
        try:
            await self._store.delete(_key(session_id))
        except StoreError:
            return

    async def _read(self, session_id: str) -> asyncpg.Record | None:
        rows = await self._cluster.fetch(_SELECT, session_id)
        # A replica may be behind the login of a moment ago.
        rows = rows or await self._cluster.primary.run(lambda connection: connection.fetch(_SELECT, session_id))
        return rows[0] if rows else None

    async def _copied(self, session_id: str) -> tuple[Session | None, bool]:
        """The copy, and whether Redis answered at all."""
        try:
            value = await self._store.get(_key(session_id))
        except StoreError:
            return None, False
        self._metrics.cached("session", hit=value is not None)
        return (Session(**orjson.loads(value)) if value else None), True

    async def _copy(self, session: Session) -> None:
        left_s = int((datetime.fromisoformat(session.expires_at) - datetime.now(UTC)).total_seconds())
        try:
            await self._store.put(_key(session.session_id), orjson.dumps(asdict(session)), ttl_s=max(1, left_s))
        except StoreError:
            return


def describe(session: Session) -> dict[str, Any]:
    """The session as the client sees it."""
    return asdict(session)


def _key(session_id: str) -> str:
    return f"session:{session_id}"


def _valid(row: asyncpg.Record | None) -> Session | None:
    if row is None or row["revoked"] or row["expires_at"] <= datetime.now(UTC):
        return None
    return Session(row["id"], row["user_id"], row["created_at"].isoformat(), row["expires_at"].isoformat())
