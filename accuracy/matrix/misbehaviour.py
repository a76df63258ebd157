"""Ways in which a Toxiproxy API can mislead a run: swallow an injection, hide its way, refuse to take it away."""

from __future__ import annotations

from typing import Any

from accuracy.matrix.toxiproxy_relay import Call, Forward, Reply


class Swallowing:
    """Acknowledges every write and reads it back, and forwards none: the proxies carry on as if nothing had been asked."""

    def __init__(self) -> None:
        self._toxics: dict[str, dict[str, Any]] = {}
        self._changed: dict[str, Any] = {}
        self.swallowed = 0

    async def __call__(self, call: Call, forward: Forward) -> Reply:
        match (call.method, *call.parts):
            case ("GET", "proxies", _):
                return self._shown(await forward(call))
            case ("POST", "proxies", _, "toxics"):
                return self._put(call.document())
            case ("GET", "proxies", _, "toxics", toxic):
                return Reply.of(self._toxics[toxic]) if toxic in self._toxics else _not_found()
            case ("DELETE", "proxies", _, "toxics", toxic):
                return Reply(204) if self._toxics.pop(toxic, None) else _not_found()
            case ("POST" | "PATCH", "proxies", name):
                self.swallowed += 1
                self._changed |= call.document()
                return self._shown(await forward(Call("GET", f"/proxies/{name}", b"")))
        return await forward(call) if call.method == "GET" else Reply(204)

    def _put(self, toxic: dict[str, Any]) -> Reply:
        self.swallowed += 1
        self._toxics[str(toxic["name"])] = toxic
        return Reply.of(toxic)

    def _shown(self, reply: Reply) -> Reply:
        if reply.status != 200:
            return reply
        return Reply.of(reply.document() | self._changed | {"toxics": list(self._toxics.values())})


class PastTheLink:
    """Says that a proxy listens where its dependency does: whoever feels the link by that address goes past it."""

    async def __call__(self, call: Call, forward: Forward) -> Reply:
        reply = await forward(call)
        if (call.method, *call.parts[:1]) != ("GET", "proxies") or len(call.parts) != 2 or reply.status != 200:
            return reply
        shown = reply.document()
        return Reply.of(shown | {"listen": shown["upstream"]})


class RefusingHeal:
    """Lets an injection through, and from then on answers 500 to everything that would take it away."""

    def __init__(self) -> None:
        self._injected = False
        self.refused = 0

    async def __call__(self, call: Call, forward: Forward) -> Reply:
        if self._injected and _takes_away(call):
            self.refused += 1
            return Reply.of({"error": "refused"}, 500)
        reply = await forward(call)
        self._injected = self._injected or (_injects(call) and reply.status < 300)
        return reply


def _injects(call: Call) -> bool:
    disables = len(call.parts) == 2 and call.document().get("enabled") is False
    return call.method in ("POST", "PATCH") and (call.parts[2:] == ("toxics",) or disables)


def _takes_away(call: Call) -> bool:
    """Deleting a toxic or a proxy, making a proxy anew, or enabling it."""
    enables = len(call.parts) <= 2 and call.document().get("enabled") is True
    return call.method == "DELETE" or (call.method in ("POST", "PATCH") and enables)


def _not_found() -> Reply:
    return Reply.of({"error": "toxic not found"}, 404)
