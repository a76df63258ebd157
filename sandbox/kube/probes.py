"""Readiness and liveness probes: httpGet and tcpSocket, run as the kubelet runs them."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from sandbox.kube.objects import Object

_INITIAL_PERIOD_S = 0.1
_INITIAL_PHASE_S = 10.0


@dataclass(frozen=True, slots=True)
class Target:
    """What a probe asks: its spec, the pod's address, and the container's ports by name."""

    probe: Object
    pod_ip: str
    ports: dict[str, int]

    def port(self, named: int | str) -> int:
        return self.ports[named] if isinstance(named, str) and not named.isdigit() else int(named)


async def check(target: Target) -> str | None:
    """One try; None for success, else what went wrong."""
    timeout_s = target.probe["timeoutSeconds"]
    try:
        async with asyncio.timeout(timeout_s):
            if "httpGet" in target.probe:
                return await _http(target)
            return await _tcp(target)
    except TimeoutError:
        return f"no answer within {timeout_s} s"
    except (OSError, EOFError, ValueError) as error:
        return str(error) or type(error).__name__


async def _tcp(target: Target) -> str | None:
    port = target.port(target.probe["tcpSocket"]["port"])
    _, writer = await asyncio.open_connection(target.pod_ip, port)
    writer.close()
    return None


async def _http(target: Target) -> str | None:
    get = target.probe["httpGet"]
    port = target.port(get["port"])
    headers = "".join(f"{header['name']}: {header['value']}\r\n" for header in get.get("httpHeaders", ()))
    request = (
        f"GET {get['path']} HTTP/1.1\r\nHost: {target.pod_ip}:{port}\r\nUser-Agent: kube-probe/1.35\r\n"
        f"{headers}Accept: */*\r\nConnection: close\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection(target.pod_ip, port)
    try:
        writer.write(request.encode())
        code = int((await reader.readline()).split()[1])
    except IndexError:
        return "the answer was not HTTP"
    finally:
        writer.close()
    return None if 200 <= code < 400 else f"HTTP probe failed with statuscode: {code}"


class ProbeLoop:
    """Runs one probe for as long as its task lives and reports each change of the verdict.

    `on_failure` hears of every failed try that counts, `on_verdict` of success or of failureThreshold failures in a
    row. With `eager` the tries come every 0.1 s until the first success, for at most 10 s; their failures do not count.
    """

    def __init__(self, target: Target, on_verdict: Callable[[bool], None], on_failure: Callable[[str], None], *, eager: bool) -> None:
        self._target = target
        self._on_verdict = on_verdict
        self._on_failure = on_failure
        self._eager = eager

    async def run(self) -> None:
        probe = self._target.probe
        await asyncio.sleep(probe.get("initialDelaySeconds") or (0 if self._eager else probe["periodSeconds"]))
        if self._eager:
            await self._first_success()
        failures = successes = 0
        while True:
            problem = await check(self._target)
            if problem is None:
                failures, successes = 0, successes + 1
                if successes >= probe["successThreshold"]:
                    self._on_verdict(True)
            else:
                failures, successes = failures + 1, 0
                self._on_failure(problem)
                if failures >= probe["failureThreshold"]:
                    self._on_verdict(False)
            await asyncio.sleep(probe["periodSeconds"])

    async def _first_success(self) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _INITIAL_PHASE_S
        while loop.time() < deadline and await check(self._target) is not None:
            await asyncio.sleep(_INITIAL_PERIOD_S)
