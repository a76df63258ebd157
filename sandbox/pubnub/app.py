"""The HTTP surface: paths and parameters to calls on the broker, answers to JSON."""

import asyncio
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, unquote_to_bytes

import orjson
from aiohttp import web

from sandbox.pubnub import history
from sandbox.pubnub.broker import Broker, Delivery, Message
from sandbox.pubnub.metrics import Metrics
from sandbox.pubnub.presence import Presence
from sandbox.pubnub.refusals import RefusedError, not_supported, plain, publish_refused

# Source: PubNub's documentation, limits of a message, of a signal, and the default presence time-out.
_MESSAGE_BYTES = 32 * 1024
_SIGNAL_BYTES = 64
_PRESENCE_S = 300.0
_REGION = 1


@dataclass(frozen=True, slots=True)
class Keys:
    """The one key set that this server knows."""

    publish: str
    subscribe: str


class Api:
    """All calls of one key set; `handle` is the handler of an aiohttp low-level server."""

    def __init__(self, keys: Keys, *, poll_timeout_s: float) -> None:
        self._keys = keys
        self._poll_timeout_s = poll_timeout_s
        self._broker = Broker()
        self._presence = Presence()
        self._metrics = Metrics()

    def close(self) -> None:
        """Let every long poll answer now."""
        self._broker.close()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        # Not the decoded path: "/" may stand unencoded in a message, and %2F in a channel must not become a separator.
        segments = request.raw_path.partition("?")[0].split("/")[1:]
        match segments:
            case ["health"] | ["health", "ready"]:
                return web.json_response({"status": "healthy"})
            case ["metrics"]:
                return web.Response(text=self._metrics.render(open_polls=self._broker.open_polls))
        endpoint = _endpoint(segments)
        try:
            status, content = 200, await self._answer(segments, request)
        except RefusedError as refusal:
            status, content = refusal.status, refusal.content
        self._metrics.answered(endpoint, status)
        return web.Response(body=orjson.dumps(content), status=status, content_type="application/json")

    async def _answer(self, segments: list[str], request: web.BaseRequest) -> Any:
        match segments:
            case ["time", "0"]:
                return [self._broker.timetokens.next()]
            case ["publish" | "signal" as verb, publish_key, subscribe_key, "0", channel, _, *rest]:
                self._check_publish_keys(publish_key, subscribe_key)
                text = await request.read() if request.method == "POST" else _message_text(rest)
                return self._publish(request, unquote(channel), text, is_signal=verb == "signal")
            case ["v2", "subscribe", subscribe_key, channels, _]:
                self._check_subscribe_key(subscribe_key)
                return await self._subscribe(request, _channels(channels))
            case ["v2", "history", "sub-key", subscribe_key, "channel", channel]:
                self._check_subscribe_key(subscribe_key)
                return history.one_channel(self._broker, unquote(channel), request.query)
            case ["v3", "history", "sub-key", subscribe_key, "channel", channels]:
                self._check_subscribe_key(subscribe_key)
                return history.several_channels(self._broker, _channels(channels), request.query)
            case ["v2", "presence", "sub-key", subscribe_key, "channel", channels, *rest]:
                self._check_subscribe_key(subscribe_key)
                return self._presence_call(request, _channels(channels), rest)
        raise _unknown(segments, request.method)

    def _publish(self, request: web.BaseRequest, channel: str, text: bytes, *, is_signal: bool) -> list[Any]:
        timetoken = self._broker.timetokens.next()
        if not channel or set(channel) & set(",*/"):
            raise publish_refused(400, "Invalid Channel", timetoken)
        if len(text) > (_SIGNAL_BYTES if is_signal else _MESSAGE_BYTES):
            raise publish_refused(413, "Message Too Large", timetoken)
        meta = request.query.get("meta")
        message = Message(
            timetoken=timetoken,
            channel=channel,
            payload=_checked_json(text, timetoken),
            publisher=_uuid(request),
            meta=None if meta is None else _checked_json(meta.encode(), timetoken),
            is_signal=is_signal,
            is_stored=not is_signal and request.query.get("store") != "0",
        )
        self._broker.publish(message)
        self._metrics.add("pubnub_messages_published_total")
        return [1, "Sent", str(timetoken)]

    async def _subscribe(self, request: web.BaseRequest, channels: list[str]) -> dict[str, Any]:
        for refused in ("channel-group", "filter-expr"):
            if request.query.get(refused):
                raise not_supported(refused)
        after = _cursor(request)
        self._presence.beat(_uuid(request), channels, _hold_s(request))
        if after == 0:
            return _answer_to_subscriber(self._broker.timetokens.next(), [])
        try:
            found = await self._broker.poll(channels, after, self._poll_timeout_s)
        except asyncio.CancelledError:
            self._metrics.add("pubnub_polls_abandoned_total")
            raise
        if not found:
            self._metrics.add("pubnub_polls_expired_total")
            return _answer_to_subscriber(after, [])
        self._metrics.add("pubnub_messages_delivered_total", len(found))
        return _answer_to_subscriber(found[-1].message.timetoken, [self._delivered(each) for each in found])

    def _delivered(self, delivery: Delivery) -> dict[str, Any]:
        message = delivery.message
        item: dict[str, Any] = {
            "a": "1",
            "f": 0,
            "i": message.publisher,
            "p": {"t": str(message.timetoken), "r": _REGION},
            "k": self._keys.subscribe,
            "c": message.channel,
            "d": orjson.Fragment(message.payload),
        }
        if delivery.matched != message.channel:
            item["b"] = delivery.matched
        if message.meta is not None:
            item["u"] = orjson.Fragment(message.meta)
        if message.is_signal:
            item["e"] = 1
        return item

    def _presence_call(self, request: web.BaseRequest, channels: list[str], verb: list[str]) -> dict[str, Any]:
        answer: dict[str, Any] = {"status": 200, "message": "OK", "service": "Presence"}
        match verb:
            case ["heartbeat"]:
                self._presence.beat(_uuid(request), channels, _hold_s(request))
                return answer
            case ["leave"]:
                self._presence.leave(_uuid(request), channels)
                return answer | {"action": "leave"}
            case []:
                return answer | self._here_now(channels)
        raise not_supported("/".join(["presence", *verb]))

    def _here_now(self, channels: list[str]) -> dict[str, Any]:
        here = {channel: self._presence.here(channel) for channel in channels}
        if len(channels) == 1:
            return {"uuids": here[channels[0]], "occupancy": len(here[channels[0]])}
        each = {channel: {"uuids": uuids, "occupancy": len(uuids)} for channel, uuids in here.items()}
        total = sum(len(uuids) for uuids in here.values())
        return {"payload": {"channels": each, "total_channels": len(each), "total_occupancy": total}}

    def _check_publish_keys(self, publish_key: str, subscribe_key: str) -> None:
        if (publish_key, subscribe_key) != (self._keys.publish, self._keys.subscribe):
            raise publish_refused(400, "Invalid Key", self._broker.timetokens.next())

    def _check_subscribe_key(self, subscribe_key: str) -> None:
        if subscribe_key != self._keys.subscribe:
            raise plain(403, "Invalid Subscribe Key", "Access Manager")


_ENDPOINTS = {("v2", "subscribe"): "subscribe", ("v2", "presence"): "presence"} | {
    (version, "history"): "history" for version in ("v2", "v3")
}


def _endpoint(segments: list[str]) -> str:
    if segments[0] in ("publish", "signal", "time"):
        return segments[0]
    return _ENDPOINTS.get((segments[0], segments[1] if len(segments) > 1 else ""), "other")


def _unknown(segments: list[str], method: str) -> RefusedError:
    path = "/".join(segments)
    if segments[0] in ("v1", "v2", "v3"):
        return not_supported(f"{method} /{path}")
    return plain(404, f"Not found: {method} /{path}")


def _channels(segment: str) -> list[str]:
    channels = list(dict.fromkeys(unquote(name) for name in segment.split(",") if name))
    if not channels:
        raise plain(400, "Invalid Channels")
    return channels


def _message_text(segments: list[str]) -> bytes:
    return unquote_to_bytes("/".join(segments).encode("utf-8", "surrogateescape"))


def _checked_json(text: bytes, timetoken: int) -> bytes:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise publish_refused(400, "Invalid JSON", timetoken) from error
    return text


def _cursor(request: web.BaseRequest) -> int:
    text = request.query.get("tt", "0")
    if not text.isdecimal():
        raise plain(400, "Invalid Timetoken")
    return int(text)


def _hold_s(request: web.BaseRequest) -> float:
    text = request.query.get("heartbeat", "")
    return float(text) if text.isdecimal() else _PRESENCE_S


def _uuid(request: web.BaseRequest) -> str:
    return request.query.get("uuid", "anonymous")


def _answer_to_subscriber(timetoken: int, messages: list[dict[str, Any]]) -> dict[str, Any]:
    return {"t": {"t": str(timetoken), "r": _REGION}, "m": messages}
