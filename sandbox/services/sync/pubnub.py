"""Publishing at PubNub: time-out, tries with back-off, and a breaker that counts tries."""

import asyncio

from sandbox.services.breaker import Rules
from sandbox.services.guard import Guard
from sandbox.services.metrics import Metrics
from sandbox.services.upstream import NoAnswer, Upstream
from sandbox.settings import Settings


class NotPublished(Exception):  # noqa: N818 - a state of the world
    """PubNub did not take the message, or is not asked for now."""


class PubNub:
    """The publishing half of PubNub's HTTP API."""

    def __init__(self, origin: str, publish_key: str, subscribe_key: str, settings: Settings, metrics: Metrics) -> None:
        self.upstream = Upstream("pubnub", origin, settings, metrics)
        rules = Rules(
            settings.pubnub_breaker_failures,
            settings.pubnub_breaker_open_s,
            settings.pubnub_breaker_successes,
            settings.pubnub_breaker_probes,
        )
        self.guard = Guard("pubnub", rules, metrics)
        self._prefix = f"/publish/{publish_key}/{subscribe_key}/0/"
        self._settings = settings

    async def publish(self, channel: str, message: bytes) -> None:
        """Publishes one JSON message; raises NotPublished after the last try or when the breaker is open.

        A try whose answer was lost may have been taken: the message is then published twice, with one operation_id.
        """
        for retry in range(self._settings.pubnub_tries):
            if await self._try(channel, message):
                return
            if retry + 1 < self._settings.pubnub_tries:
                await asyncio.sleep(self._settings.pubnub_backoff_s * 2**retry)
        raise NotPublished("no try succeeded")

    async def _try(self, channel: str, message: bytes) -> bool:
        permit = self.guard.acquire()
        if permit is None:
            raise NotPublished("the breaker is open")
        ok: bool | None = None
        try:
            answer = await self.upstream.call(
                "POST",
                f"{self._prefix}{channel}/0",
                timeout_s=self._settings.pubnub_publish_timeout_s,
                body=message,
                headers={"Content-Type": "application/json"},
            )
            ok = answer.status == 200
        except NoAnswer:
            ok = False
        finally:
            self.guard.record(permit, ok=ok)
        return ok
