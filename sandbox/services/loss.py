"""Notices that Redis lost everything: a key that this process wrote is gone."""

import asyncio
import logging
import time

from sandbox.services.guard import StoreError
from sandbox.services.store import Store
from sandbox.settings import Settings

_LIVES_S = 86_400


class LossWatch:
    """Looks now and then, and does after a loss what the settings say. A Redis that is away lost nothing yet."""

    def __init__(self, store: Store, settings: Settings, pod_name: str) -> None:
        self._store = store
        self._settings = settings
        self._key = f"seen-by:{pod_name}"
        self._noticed_s: float | None = None
        self._log = logging.getLogger("loss")

    def is_recent(self, within_s: float) -> bool:
        """Whether a loss was noticed less than so many seconds ago."""
        return self._noticed_s is not None and time.monotonic() - self._noticed_s < within_s

    async def run(self) -> None:
        """Works until cancelled."""
        written = False
        while True:
            try:
                if written and await self._store.get(self._key) is None:
                    await self._lost()
                    written = False
                if not written:
                    await self._store.put(self._key, b"1", ttl_s=_LIVES_S)
                    written = not self._store.read_only
            except StoreError as error:
                self._log.info("redis was not asked for a loss", extra={"cause": str(error)})
            await asyncio.sleep(self._settings.redis_loss_check_s)

    async def _lost(self) -> None:
        self._log.warning("redis lost everything")
        self._noticed_s = time.monotonic()
        self._store.read_only = not self._settings.redis_refills_after_loss
        await self._store.reconnect(pings=self._settings.redis_loss_pings)
