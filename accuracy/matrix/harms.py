"""What is done to a run from outside. Each harm is a context around one run, and what happens beside it while it goes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import yaml

from accuracy.matrix.cluster import Cluster, KubeConfig
from accuracy.matrix.generator import generator_of
from accuracy.matrix.misbehaviour import PastTheLink, RefusingHeal, Swallowing
from accuracy.matrix.sight import RunSight
from accuracy.matrix.tcp_relay import TcpRelay
from accuracy.matrix.toxiproxy_relay import Policy, ToxiproxyRelay

CALL_S = 5.0
STALL_S = 5.0
SLICE_S, PERIOD_S, SLICES = 0.1, 0.5, 30
"""A fifth of the time stopped, for 15 s."""
CLEAR_OF_BASELINE_S = 1.5
"""A second of the load, or a sampler's last look (1 Hz), that began before the injection is the baseline's too."""
BLINK_S = 0.02
CLOCK_OFFSET_S, CLOCK_ERROR_S = 30.0, 3.0
ROLLED_OUT_WITHIN_S = 60.0
SHIFTED_CLOCK = Path(__file__).parent / "shifted_clock"


class HarmError(Exception):
    """The harm could not be prepared or was without effect; the text says why."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What a harm may change before the run: the target description that the run will read, in the run's folder."""

    folder: Path
    document: dict[str, Any]

    def role(self, name: str) -> dict[str, Any]:
        role: dict[str, Any] = self.document["roles"][name]
        return role


During = Callable[[RunSight], Awaitable[str]]
"""Works beside the run, timed by its recording; says in words what it did. Raises RunEnded or LookupError when it could not."""
Around = Callable[[Scene], AbstractAsyncContextManager[During]]


def swallowed_injection(role: str) -> Around:
    """The link's Toxiproxy acknowledges the fault and reads it back; its proxy carries on untouched."""

    @asynccontextmanager
    async def around(scene: Scene) -> AsyncIterator[During]:
        policy = Swallowing()
        async with _relayed(scene, role, policy):

            async def during(run: RunSight) -> str:
                await run.phase("end")
                return f"{policy.swallowed} writes to the proxy were acknowledged and not done"

            yield during

    return around


def unfelt_proof(role: str) -> Around:
    """The fault is real, but the address at which the link can be felt leads past it."""

    @asynccontextmanager
    async def around(scene: Scene) -> AsyncIterator[During]:
        async with _relayed(scene, role, PastTheLink()):

            async def during(run: RunSight) -> str:
                await run.step("injected")
                return "the canary went to the dependency itself"

            yield during

    return around


def refused_heal(role: str) -> Around:
    """Once the fault is there, everything that would take it away is answered with 500. Afterwards we take it away."""

    @asynccontextmanager
    async def around(scene: Scene) -> AsyncIterator[During]:
        url, proxy = scene.role(role)["toxiproxy_url"], scene.role(role)["proxy"]
        policy = RefusingHeal()
        try:
            async with _relayed(scene, role, policy):

                async def during(run: RunSight) -> str:
                    await run.phase("end")
                    return f"{policy.refused} calls to take the fault away were refused"

                yield during
        finally:
            await _clean(url, proxy)

    return around


def nobody_uses(role: str) -> Around:
    """The role means another proxy of the same dependency, which no service dials and no counter counts."""

    @asynccontextmanager
    async def around(scene: Scene) -> AsyncIterator[During]:
        description = scene.role(role)
        name = f"{description['proxy']}-unused"
        async with httpx.AsyncClient(base_url=description["toxiproxy_url"], timeout=CALL_S, trust_env=False) as http:
            known = await _asked(http, "GET", f"/proxies/{description['proxy']}")
            made = {"name": name, "listen": "127.0.0.1:0", "upstream": known["upstream"], "enabled": True}
            await _asked(http, "POST", "/proxies", made)
            try:
                labels = description["exposure"].get("labels", {}) | {"dependency": name}
                scene.document["roles"][role] = description | {"proxy": name, "exposure": description["exposure"] | {"labels": labels}}
                yield _once("injected", f"the fault went to the proxy {name}")
            finally:
                await http.delete(f"/proxies/{name}")

    return around


def blind_replication(role: str) -> Around:
    """The sampler of the standbys reaches the primary through a relay, which holds everything back for 5 s."""

    @asynccontextmanager
    async def around(scene: Scene) -> AsyncIterator[During]:
        parts = urlsplit(scene.role(role)["primary_dsn"])
        assert parts.hostname is not None
        assert parts.port is not None
        async with TcpRelay(parts.hostname, parts.port) as relay:
            user = f"{parts.username}@" if parts.username else ""
            scene.role(role)["primary_dsn"] = parts._replace(netloc=f"{user}{relay.address}").geturl()
            yield _stalled(relay)

    return around


@asynccontextmanager
async def stalled_api(scene: Scene) -> AsyncIterator[During]:
    """Everything that the run asks of the API server passes a relay, which holds all connections back for 5 s."""
    kubernetes = scene.document["kubernetes"]
    config = KubeConfig.of(Path(kubernetes["kubeconfig"]))
    async with TcpRelay(*config.host_and_port) as relay:
        path = scene.folder / "kubeconfig"
        path.write_text(yaml.safe_dump(config.through(relay.address)), encoding="utf-8")
        kubernetes["kubeconfig"] = str(path)
        yield _stalled(relay)


@asynccontextmanager
async def load_at_four_fifths(_: Scene) -> AsyncIterator[During]:
    """The load workers are stopped for a fifth of the time, in slices of 0.1 s, soon after the injection."""

    async def during(run: RunSight) -> str:
        await _injected(run)
        loop = asyncio.get_running_loop()
        with generator_of(run.pid) as generator:
            start = loop.time()
            for number in range(SLICES):
                await asyncio.sleep(max(0.0, start + number * PERIOD_S - loop.time()))
                await generator.stall(SLICE_S)
        return f"the load workers were stopped {SLICES} times for {SLICE_S:g} s in {loop.time() - start:.1f} s"

    yield during


@asynccontextmanager
async def one_blink(_: Scene) -> AsyncIterator[During]:
    """The load workers are stopped once for 20 ms after the injection."""

    async def during(run: RunSight) -> str:
        await run.step("injected")
        loop = asyncio.get_running_loop()
        with generator_of(run.pid) as generator:
            start = loop.time()
            await generator.stall(BLINK_S)
        return f"the load workers were stopped once for {(loop.time() - start) * 1000:.0f} ms"

    yield during


def clock_off(*deployments: str) -> Around:
    """The wall clocks of all pods of these Deployments go 30 s ahead; afterwards they are as before."""

    @asynccontextmanager
    async def around(scene: Scene) -> AsyncIterator[During]:
        kubernetes = scene.document["kubernetes"]
        config = KubeConfig.of(Path(kubernetes["kubeconfig"]))
        shifted = {"PYTHONPATH": str(SHIFTED_CLOCK), "CLOCK_OFFSET_S": f"{CLOCK_OFFSET_S:g}"}
        async with Cluster(config, kubernetes["namespace"]) as cluster:
            try:
                await _everywhere(cluster, deployments, shifted)
                seen_s = await _date_ahead_s(str(scene.document["gateway_url"]))
                if abs(seen_s - CLOCK_OFFSET_S) > CLOCK_ERROR_S:
                    raise HarmError(f"the gateway's clock is {seen_s:.0f} s ahead, not {CLOCK_OFFSET_S:g} s")
                yield _once("injected", f"the gateway dated its answers {seen_s:.0f} s ahead")
            finally:
                await _everywhere(cluster, deployments, dict.fromkeys(shifted))

    return around


def _relayed(scene: Scene, role: str, policy: Policy) -> AbstractAsyncContextManager[ToxiproxyRelay]:
    """The role's Toxiproxy API behind a relay with this policy."""

    @asynccontextmanager
    async def relayed() -> AsyncIterator[ToxiproxyRelay]:
        async with ToxiproxyRelay(scene.role(role)["toxiproxy_url"], policy) as relay:
            scene.role(role)["toxiproxy_url"] = relay.url
            yield relay

    return relayed()


def _stalled(relay: TcpRelay) -> During:
    async def during(run: RunSight) -> str:
        await _injected(run)
        start = asyncio.get_running_loop().time()
        await relay.stall(STALL_S)
        return f"nothing passed for {asyncio.get_running_loop().time() - start:.1f} s"

    return during


async def _injected(run: RunSight) -> None:
    """Return when the fault is there and nothing that is done now can touch the baseline."""
    await run.step("injected")
    await asyncio.sleep(CLEAR_OF_BASELINE_S)


def _once(step: str, words: str) -> During:
    """Nothing is done beside the run; the words hold once a fault has reached the step."""

    async def during(run: RunSight) -> str:
        await run.step(step)
        return words

    return during


async def _everywhere(cluster: Cluster, deployments: tuple[str, ...], variables: Mapping[str, str | None]) -> None:
    try:
        for deployment in deployments:
            await cluster.set_environment(deployment, variables)
        async with asyncio.timeout(ROLLED_OUT_WITHIN_S):
            while not all([await cluster.settled(deployment) for deployment in deployments]):
                await asyncio.sleep(0.2)
    except httpx.HTTPError as error:
        raise HarmError(f"the API server refused: {error}") from error
    except TimeoutError as error:
        raise HarmError(f"{', '.join(deployments)} did not roll out within {ROLLED_OUT_WITHIN_S:g} s") from error


async def _date_ahead_s(gateway_url: str) -> float:
    """By how much the Date of the gateway's answers is ahead of our clock; it is in whole seconds."""
    async with httpx.AsyncClient(timeout=CALL_S, trust_env=False) as http:
        answer = await http.get(f"{gateway_url}/health")
    return parsedate_to_datetime(answer.headers["date"]).timestamp() - time.time()


async def _clean(url: str, proxy: str) -> None:
    """All toxics of the proxy away, and the proxy enabled."""
    async with httpx.AsyncClient(base_url=url, timeout=CALL_S, trust_env=False) as http:
        shown = await _asked(http, "GET", f"/proxies/{proxy}")
        for toxic in shown.get("toxics") or ():
            await http.delete(f"/proxies/{proxy}/toxics/{toxic['name']}")
        await _asked(http, "POST", f"/proxies/{proxy}", {"enabled": True})


async def _asked(http: httpx.AsyncClient, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
    try:
        answer = (await http.request(method, path, json=body)).raise_for_status()
    except httpx.HTTPError as error:
        raise HarmError(f"Toxiproxy: {method} {path}: {type(error).__name__} {error}") from error
    document: dict[str, Any] = answer.json()
    return document
