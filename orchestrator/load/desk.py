"""A serving worker's side of the conversation with its run: answers questions, takes what they tell. Knows nothing of sockets."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable
from urllib.parse import parse_qsl, urlsplit

from pydantic import ValidationError

from orchestrator.load import wire
from orchestrator.load.keeping import Stop
from orchestrator.load.kept_lines import KeptLines, NotHereError


class Desk:
    """`begun` is done with start and lead of the run's clock when the run has told them; `heard_s` is the instant of its last question."""

    def __init__(self, key: str, lines: KeptLines, now: Callable[[], float]) -> None:
        self._key = key.encode()
        self._lines = lines
        self._now = now
        self._stop: Stop | None = None
        self._stop_s: float | None = None
        self.state: wire.State = "waiting"
        self.heard_s = now()
        self.begun: asyncio.Future[tuple[float, float]] = asyncio.get_running_loop().create_future()

    def commanded(self, stop: Stop) -> None:
        """From now on there is something to stop."""
        self._stop = stop
        if self._stop_s is not None:
            stop(self._stop_s)

    def answer(self, target: str, key: str) -> tuple[int, bytes]:
        """Status and body for a GET of this target (path and query) with this key."""
        if not hmac.compare_digest(key.encode(), self._key):
            return 403, b"the key of this worker's order is missing\n"
        url = urlsplit(target)
        if url.path != wire.PATH:
            return 404, b"there is nothing but the lines\n"
        try:
            question = wire.Question.model_validate(dict(parse_qsl(url.query)))
        except ValidationError as error:
            return 400, f"{error.errors()[0]['msg']}\n".encode()
        self.heard_s = self._now()
        self._take(question)
        try:
            lines = self._lines.read(question.first)
        except NotHereError as error:
            return wire.GONE_ON, f"{error}\n".encode()
        report = wire.Report(now_s=self.heard_s, first=question.first, count=len(lines), state=self.state)
        return 200, wire.written(report, lines)

    def _take(self, told: wire.Question) -> None:
        if told.start_s is not None and told.ahead_s is not None and not self.begun.done():
            self.begun.set_result((told.start_s, told.ahead_s))
        if told.stop_s is not None and self._stop_s is None:
            self._stop_s = told.stop_s
            if self._stop is not None:
                self._stop(told.stop_s)
