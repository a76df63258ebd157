"""The services behind the gateway, each behind its breaker."""

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.responses import Response

from sandbox.services.address import Address
from sandbox.services.breaker import Rules
from sandbox.services.guard import Guard
from sandbox.services.metrics import Metrics
from sandbox.services.service import error_response
from sandbox.services.upstream import NoAnswer, Refused, TimedOut, Upstream
from sandbox.settings import Settings

NAMES = ("discovery", "sona", "sync", "auth")
# What an upstream's answer may say to the client; the rest concerns one hop only.
_PASSED_HEADERS = ("Content-Type", "X-Cache", "Age", "X-Degraded", "X-Served-By", "Retry-After", "ETag", "Cache-Control")


@dataclass(frozen=True, slots=True)
class Request:
    """A request to pass on; `target` is the path with its query."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


class Backend:
    """One service: its connections and its breaker. A failure is a call without an HTTP answer."""

    def __init__(self, name: str, url: str, settings: Settings, metrics: Metrics) -> None:
        self.upstream = Upstream(name, url, settings, metrics, connect_tries=settings.http_connect_tries)
        rules = Rules(
            getattr(settings, f"gateway_{name}_failures"),
            getattr(settings, f"gateway_{name}_open_s"),
            successes=settings.gateway_close_successes,
        )
        self.guard = Guard(name, rules, metrics)
        self._timeout_s = settings.gateway_call_timeout_s
        self._log = logging.getLogger("gateway")

    async def forward(self, request: Request) -> Response:
        """The service's answer, or the error that stands for it."""
        permit = self.guard.acquire()
        if permit is None:
            wait_s = max(1, math.ceil(self.guard.breaker.remaining_s()))
            return error_response(503, "CIRCUIT_BREAKER_OPEN", f"{self.guard.name} is not called for now", retry_after_s=wait_s)
        ok: bool | None = None
        try:
            answer = await self.upstream.call(
                request.method, request.target, timeout_s=self._timeout_s, body=request.body, headers=request.headers
            )
            ok = True
        except NoAnswer as error:
            ok = False
            self._log.warning("no answer", extra={"backend": self.guard.name, "cause": str(error)})
            return _failed(self.guard.name, error)
        finally:
            self.guard.record(permit, ok=ok)
        headers = {name: value for name in _PASSED_HEADERS if (value := answer.headers.get(name)) is not None}
        return Response(answer.body, answer.status, headers)

    def describe(self) -> dict[str, str | None]:
        """The backend as /health shows it; no breaker state before the first use."""
        state = self.guard.breaker.state.value if self.guard.used else None
        return {"status": "unhealthy" if state == "open" else "healthy", "circuit_breaker": state}


def backends(address: Address, settings: Settings, metrics: Metrics) -> dict[str, Backend]:
    """All services by name."""
    return {name: Backend(name, address.need(f"{name}_url"), settings, metrics) for name in NAMES}


def _failed(name: str, error: NoAnswer) -> Response:
    if isinstance(error, TimedOut):
        return error_response(504, "TIMEOUT", f"{name} did not answer in time")
    if isinstance(error, Refused):
        return error_response(503, "SERVICE_UNAVAILABLE", f"{name} has no ready replica", retry_after_s=1)
    return error_response(502, "PROXY_ERROR", f"the connection to {name} broke")
