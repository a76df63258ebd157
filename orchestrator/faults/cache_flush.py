"""`cache_flush`: everything in the cache is thrown away. One-shot and irreversible; the platform fills it again."""

from __future__ import annotations

from random import Random

from pydantic import Field

from orchestrator.errors import NothingToHitError, TargetError
from orchestrator.faults.base import BlastRadius, Exposure, Proof, Receipt, Surroundings
from orchestrator.faults.base import Settings as BaseSettings
from orchestrator.targets.cache import Cache
from probes.clients.redis_reader import RedisReader
from probes.clients.unreachable import Unreachable
from probes.target import RedisRole

CANARY_TTL_S = 600
OURS = frozenset({"info", "dbsize", "ping", "hello", "client", "client|setinfo", "client|setname", "config", "select", "auth", "command"})
"""Commands of connections and observers: not traffic."""


class Settings(BaseSettings):
    """No settings of its own."""

    hold_s: float = Field(default=0.0, ge=0, le=0)


class CacheFlush:
    """FLUSHALL, felt by a canary key that is gone, beside the server's own command counter."""

    def __init__(self, surroundings: Surroundings, settings: Settings) -> None:
        assert isinstance(surroundings.role, RedisRole)
        self._around = surroundings
        self._role = surroundings.role
        self._settings = settings
        self._cache = Cache(self._role.url)
        self._reader = RedisReader(self._role.url)

    async def preview(self) -> BlastRadius:
        keys = await self._read_keys()
        return BlastRadius("keys in the cache", keys, keys)

    async def prepare(self, rng: Random) -> Receipt:
        if not self._role.allow_flush:
            raise NothingToHitError(f"the target description does not allow a flush of {self._around.fault}'s role (allow_flush)")
        return Receipt(
            fault=self._around.fault,
            kind="cache_flush",
            run_id=self._around.run_id,
            settings=self._settings.model_dump(mode="json"),
            target=f"cache with {await self._read_keys()} keys",
            data={
                "canary": f"chaos:canary:{self._around.run_id}:{rng.getrandbits(32):08x}",
                "counted": await self._read_commands(),
                "flushes": await self._read_flushes(),
            },
        )

    async def exposure(self, receipt: Receipt) -> Exposure:
        before = receipt.data["counted"]
        assert isinstance(before, int)
        return Exposure(await self._read_commands() - before, "INFO commandstats of the cache")

    async def inject(self, receipt: Receipt) -> None:
        await self._cache.put(str(receipt.data["canary"]), "here", ttl_s=CANARY_TTL_S)
        await self._cache.flush_all()

    async def prove(self, receipt: Receipt) -> Proof:
        before = receipt.data["flushes"]
        assert isinstance(before, int)
        flushes = await self._read_flushes() - before
        if await self._cache.get(str(receipt.data["canary"])) is not None:
            return Proof("acknowledged", "the canary key is still there")
        if flushes < 1:
            return Proof("acknowledged", "the canary key is gone, but the server counted no flush")
        return Proof("felt", f"the canary key is gone and the server counted {flushes} flush")

    async def heal(self, receipt: Receipt) -> None:
        """Nothing to take away: filling the cache again is recovery."""

    async def close(self) -> None:
        await self._cache.close()
        await self._reader.close()

    async def _read_commands(self) -> int:
        try:
            stats = await self._reader.commandstats()
        except Unreachable as error:
            raise TargetError(str(error)) from error
        return sum(count for command, count in stats.items() if command not in OURS)

    async def _read_flushes(self) -> int:
        try:
            return (await self._reader.counters()).flushes
        except Unreachable as error:
            raise TargetError(str(error)) from error

    async def _read_keys(self) -> int:
        try:
            return await self._reader.dbsize()
        except Unreachable as error:
            raise TargetError(str(error)) from error
