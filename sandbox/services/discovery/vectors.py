"""Vector search in Qdrant: time-out, retries on broken connections, breaker."""

import asyncio

import orjson

from sandbox.data.catalogue import embed
from sandbox.services.breaker import Permit, Rules
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
        permit = self.guard.acquire()
        if permit is None:
            raise VectorsDown("qdrant is not asked, its breaker is open")
        return await self._settled(permit, body)

    async def _settled(self, permit: Permit, body: bytes) -> bytes:
        # A try that the limit cuts off is a failure too: cancellation is how a silent Qdrant shows.
        ok = False
        try:
            answer = await self.upstream.call(
                "POST",
                _PATH,
                timeout_s=self._settings.qdrant_timeout_s,
                body=body,
                headers={"Content-Type": "application/json"},
            )
            ok = answer.status == 200
        finally:
            self.guard.record(permit, ok=ok)
        if not ok:
            raise VectorsDown(f"qdrant: status {answer.status}")
        return answer.body
