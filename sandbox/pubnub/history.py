"""Pages of stored messages: storage version 2 (one channel) and version 3 (several channels)."""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import orjson

from sandbox.pubnub.broker import Broker, Message
from sandbox.pubnub.refusals import RefusedError, storage_error

# Source: PubNub's storage API: at most 100 messages of one channel, 25 each of several.
_PAGE_MESSAGES = 100
_PAGE_MESSAGES_OF_MANY = 25


def one_channel(broker: Broker, channel: str, query: Mapping[str, str]) -> Any:
    """[messages, first timetoken, last timetoken], oldest first."""
    page = _page(broker, channel, query, _limit(query, "count", _PAGE_MESSAGES))
    with_token = query.get("include_token") == "true"
    return [
        [_with_token(message, message.timetoken) if with_token else orjson.Fragment(message.payload) for message in page],
        page[0].timetoken if page else 0,
        page[-1].timetoken if page else 0,
    ]


def several_channels(broker: Broker, channels: list[str], query: Mapping[str, str]) -> Any:
    """The latest messages of each channel, oldest first."""
    limit = _limit(query, "max", _PAGE_MESSAGES if len(channels) == 1 else _PAGE_MESSAGES_OF_MANY)
    pages = {channel: _page(broker, channel, query, limit) for channel in channels}
    found = {channel: [_with_token(m, str(m.timetoken)) for m in page] for channel, page in pages.items() if page}
    return {"status": 200, "error": False, "error_message": "", "channels": found}


def _with_token(message: Message, timetoken: int | str) -> dict[str, Any]:
    return {"message": orjson.Fragment(message.payload), "timetoken": timetoken}


def _page(broker: Broker, channel: str, query: Mapping[str, str], limit: int) -> list[Message]:
    """Going back from `start` (exclusive) to `end` (inclusive); with `reverse` forward between the same borders."""
    start, end = _timetoken(query, "start"), _timetoken(query, "end")
    if query.get("reverse") == "true":
        return list(islice(_between(broker, channel, after=start, until=end), limit))
    return list(_between(broker, channel, after=end and end - 1, until=start and start - 1))[-limit:]


def _between(broker: Broker, channel: str, *, after: int | None, until: int | None) -> Iterator[Message]:
    for message in broker.stored(channel):
        if message.timetoken > (after or 0) and (until is None or message.timetoken <= until):
            yield message


def _limit(query: Mapping[str, str], name: str, most: int) -> int:
    text = query.get(name, str(most))
    if not text.isdecimal() or int(text) < 1:
        raise RefusedError(400, storage_error(f"invalid {name}"))
    return min(int(text), most)


def _timetoken(query: Mapping[str, str], name: str) -> int | None:
    text = query.get(name)
    if text is None:
        return None
    if not text.isdecimal():
        raise RefusedError(400, storage_error(f"invalid {name}"))
    return int(text)
