"""PubNub's subscribe call, in plain HTTP: a long poll with a cursor. Source: PubNub REST API v2, subscribe."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from probes.clients.http import HttpAnswer, HttpClient
from probes.clients.unreachable import Unreachable

CALL_S = 2.0
POLL_S = 5.0
"""A poll without messages is given up after this and asked again from the same cursor: a dead connection shows, nothing is lost."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where the next poll goes on."""

    timetoken: str = "0"
    region: int = 0


@dataclass(frozen=True, slots=True)
class Message:
    """A message as it came; `payload` is its JSON."""

    channel: str
    payload: object


class PubNubSubscriber:
    """One device that listens to several channels. Every call raises Unreachable within its time-out."""

    def __init__(self, *, origin: str, subscribe_key: str, channels: Sequence[str], device: str) -> None:
        self._http = HttpClient(origin, timeout_s=CALL_S)
        listed = ",".join(quote(channel, safe="") for channel in channels)
        self._path = f"/v2/subscribe/{quote(subscribe_key, safe='')}/{listed}/0"
        self._device = quote(device, safe="")

    async def close(self) -> None:
        await self._http.close()

    async def now(self) -> str:
        """The server's time token: cheap proof that it can be reached."""
        document = (await self._asked("/time/0", CALL_S)).json()
        return str(document[0]) if isinstance(document, list) and document else ""

    async def handshake(self) -> Cursor:
        """Messages published after this answer will be delivered by `poll`."""
        cursor, _ = await self._subscribe(Cursor(), CALL_S)
        return cursor

    async def poll(self, cursor: Cursor, *, timeout_s: float = POLL_S) -> tuple[Cursor, list[Message]]:
        """Wait for messages after the cursor."""
        return await self._subscribe(cursor, timeout_s)

    async def _subscribe(self, cursor: Cursor, timeout_s: float) -> tuple[Cursor, list[Message]]:
        region = f"&tr={cursor.region}" if cursor.timetoken != "0" else ""
        answer = await self._asked(f"{self._path}?tt={cursor.timetoken}{region}&uuid={self._device}", timeout_s)
        return _envelope(answer)

    async def _asked(self, path: str, timeout_s: float) -> HttpAnswer:
        answer = await self._http.request("GET", path, timeout_s=timeout_s)
        if answer.status != 200:
            raise Unreachable("pubnub", f"{path.partition('?')[0]} answered {answer.status}", status=answer.status)
        return answer


def _envelope(answer: HttpAnswer) -> tuple[Cursor, list[Message]]:
    try:
        document = json.loads(answer.body)
        cursor = Cursor(timetoken=str(document["t"]["t"]), region=int(document["t"]["r"]))
        return cursor, [Message(channel=str(entry["c"]), payload=entry["d"]) for entry in document["m"]]
    except (ValueError, KeyError, TypeError) as error:
        raise Unreachable("pubnub", f"not a subscribe answer: {answer.body[:80]!r}") from error
