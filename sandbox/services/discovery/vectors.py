"""Vector search in Qdrant: time-out, retries on broken connections, breaker."""

import asyncio
import time

import orjson

from sandbox.data.catalogue import embed
from sandbox.services.breaker import Permit, Rules, State
from sandbox.services.guard import Guard
from sandbox.services.metrics import Metrics
from sandbox.services.upstream import NoAnswer, TimedOut, Upstream
from sandbox.settings import Settings

_PATH = "/collections/media_content/points/query"


class VectorsDown(Exception):  # noqa: N818 - a state of the world
    """Qdrant gave no usable answer, or is not asked for now."""


class Vectors:
    """The nearest items to a text."""

    def __init__(self, url: str, settings: Settings, metrics: Metrics) -> None:
        self.upstream = Upstream("qdrant", url, settings, metrics)
        rules = Rules(
            settings.qdrant_breaker_failures,
            settings.qdrant_breaker_open_s,
            settings.qdrant_breaker_successes,
            settings.qdrant_breaker_probes,
        )
        self.guard = Guard("qdrant", rules, metrics)
        self._settings = settings
        self._tripped_s = time.monotonic()
        self._since_relapse = 0

    async def nearest(self, text: str) -> list[tuple[str, float]]:
        """Item ids with their similarity, best first; raises VectorsDown."""
        query = {"query": embed(text), "limit": self._settings.search_candidates, "with_payload": ["id"]}
        body = orjson.dumps(query, option=orjson.OPT_SERIALIZE_NUMPY)
        try:
            async with asyncio.timeout(self._settings.qdrant_limit_s):
                answer = await self._tries(body)
        except TimeoutError as error:
            raise VectorsDown("qdrant: no answer in time") from error
        return [(point["payload"]["id"], point["score"]) for point in orjson.loads(answer)["result"]["points"]]

    def relapses(self) -> bool:
        """Whether this search meets what an earlier loss of Qdrant left behind: every n-th one, once it is over for a while."""
        every, breaker = self._settings.qdrant_relapse_every, self.guard.breaker
        if not every or breaker.opened_at_s is None or breaker.state is not State.CLOSED:
            return False
        if time.monotonic() < breaker.opened_at_s + breaker.rules.open_s + self._settings.qdrant_relapse_after_s:
            return False
        self._since_relapse = (self._since_relapse + 1) % every
        return self._since_relapse == 0

    async def _tries(self, body: bytes) -> bytes:
        for retry in range(self._settings.qdrant_retries):
            try:
                return await self._try(body)
            except TimedOut as error:
                raise VectorsDown(str(error)) from error
            except NoAnswer:
                await asyncio.sleep(self._settings.qdrant_backoff_s * 2**retry)
        try:
            return await self._try(body)
        except NoAnswer as error:
            raise VectorsDown(str(error)) from error

    async def _try(self, body: bytes) -> bytes:
        self._trip_in_time()
        permit = self.guard.acquire()
        if permit is None:
            raise VectorsDown("qdrant is not asked, its breaker is open")
        return await self._settled(permit, body)

    def _trip_in_time(self) -> None:
        every_s, now_s = self._settings.qdrant_breaker_trips_every_s, time.monotonic()
        if every_s and now_s - self._tripped_s >= every_s:
            self._tripped_s = now_s
            self.guard.breaker.trip()

    async def _settled(self, permit: Permit, body: bytes) -> bytes:
        # A try that the limit cuts off is a failure too: cancellation is how a silent Qdrant shows.
        usable, start_s = False, time.monotonic()
        try:
            answer = await self.upstream.call(
                "POST",
                _PATH,
                timeout_s=self._settings.qdrant_timeout_s,
                body=body,
                headers={"Content-Type": "application/json"},
            )
            usable = answer.status == 200
        finally:
            slow = time.monotonic() - start_s > self._settings.qdrant_breaker_slow_s
            self.guard.record(permit, ok=usable and not slow)
        if not usable:
            raise VectorsDown(f"qdrant: status {answer.status}")
        return answer.body
