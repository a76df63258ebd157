"""Plants defects in a running sandbox, or none: afterwards it is as good as new. Over the wire only, as any operator would."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import orjson
import redis.asyncio

from sandbox.kube import kubeconfig
from sandbox.kube.serviceproxy.watcher import session
from sandbox.platform import Manifest, service_replicas
from sandbox.ports import LINKS, NAMESPACE, REPLICAS, SERVICES
from sandbox.settings import PREFIX, Settings
from sandbox.state import SandboxError

_PATIENCE_S = 60.0
_LOOK_S = 0.1
_APPS = f"/apis/apps/v1/namespaces/{NAMESPACE}"
_STORES = {"postgresql": 1, "postgresql-replica": len(REPLICAS), "redis": 1, "qdrant": 1, "pubnub": 1}
_LEFT_BEHIND = "truncate watchlist, progress, sync_outbox, sessions"
_STREAMING = "select count(*) from pg_stat_replication where state = 'streaming'"


def plant(status: dict[str, Any], settings: Settings) -> None:
    """Stop all services, empty what earlier runs left, start the services with these settings, wait until all is well.

    `status` is the sandbox's status document. Raises SandboxError when it does not become well in time.
    """
    try:
        asyncio.run(_plant(status, settings))
    except (aiohttp.ClientError, asyncpg.PostgresError, redis.RedisError, OSError) as error:
        raise SandboxError(f"sandbox '{status['name']}' cannot be planted anew ({error}): end it with `down` and start another") from error


async def _plant(status: dict[str, Any], settings: Settings) -> None:
    async with session(kubeconfig.read(Path(status["kubeconfig"]))) as client:
        cluster = _Cluster(client)
        await asyncio.gather(*(cluster.stop(name) for name in SERVICES), *(cluster.size(name, count) for name, count in _STORES.items()))
        await _until("the services do not stop", cluster.services_gone)
        await _until("the data stores are not ready", cluster.stores_ready)
        await asyncio.gather(
            _clean_links(status["toxiproxy_url"]), _empty_cache(status["redis_url"]), _empty_tables(status["postgres"]["primary"])
        )
        await asyncio.gather(*(cluster.start(name, settings) for name in SERVICES))
        await _until("the services are not ready", lambda: cluster.services_ready(settings), _PATIENCE_S + settings.discovery_startup_s)
    await _until("not every standby streams", lambda: _streaming(status["postgres"]["primary"]))
    await _until("the gateway does not answer", lambda: _answers(f"{status['gateway_url']}/health/ready"))


@dataclass(frozen=True, slots=True)
class _Cluster:
    """The sandbox's cluster through its API."""

    client: aiohttp.ClientSession

    async def stop(self, name: str) -> None:
        await self._patch("deployments", name, {"replicas": 0})

    async def size(self, name: str, count: int) -> None:
        await self._patch("statefulsets", name, {"replicas": count})

    async def start(self, name: str, settings: Settings) -> None:
        """With these settings and no others; what else stands in the environment stays."""
        container = (await self._get("deployments", name))["spec"]["template"]["spec"]["containers"][0]
        kept = [one for one in container["env"] if not one["name"].startswith(PREFIX)]
        planted = [{"name": key, "value": value} for key, value in settings.environment().items()]
        template = {"spec": {"containers": [container | {"env": kept + planted}]}}
        await self._patch("deployments", name, {"replicas": service_replicas(settings, name), "template": template})

    async def services_gone(self) -> bool:
        async with self.client.get(f"/api/v1/namespaces/{NAMESPACE}/pods", raise_for_status=True) as answer:
            pods = orjson.loads(await answer.read())["items"]
        return not any(pod["metadata"]["labels"].get("app") in SERVICES for pod in pods)

    async def stores_ready(self) -> bool:
        return all([_whole(await self._get("statefulsets", name), count) for name, count in _STORES.items()])

    async def services_ready(self, settings: Settings) -> bool:
        return all([_whole(await self._get("deployments", name), service_replicas(settings, name)) for name in SERVICES])

    async def _get(self, resource: str, name: str) -> Manifest:
        async with self.client.get(f"{_APPS}/{resource}/{name}", raise_for_status=True) as answer:
            found: Manifest = orjson.loads(await answer.read())
            return found

    async def _patch(self, resource: str, name: str, spec: Manifest) -> None:
        headers = {"Content-Type": "application/merge-patch+json"}
        body = orjson.dumps({"spec": spec})
        async with self.client.patch(f"{_APPS}/{resource}/{name}", data=body, headers=headers, raise_for_status=True):
            pass


def _whole(workload: Manifest, count: int) -> bool:
    """Whether the controller has seen the last change and every pod that it wants is there and ready."""
    status = workload.get("status", {})
    seen = status.get("observedGeneration", 0) >= workload["metadata"]["generation"]
    return bool(seen and status.get("replicas", 0) == count and status.get("readyReplicas", 0) == count)


async def _clean_links(url: str) -> None:
    """Every link as it was: no toxic, no proxy of a stranger."""
    async with aiohttp.ClientSession(raise_for_status=True) as client:
        async with client.get(f"{url}/proxies") as answer:
            names = set(orjson.loads(await answer.read()))
        for name in sorted(names - set(LINKS)):
            async with client.delete(f"{url}/proxies/{name}"):
                pass
        async with client.post(f"{url}/reset"):
            pass


async def _empty_cache(url: str) -> None:
    client = redis.asyncio.Redis.from_url(url)
    try:
        await client.flushall()
    finally:
        await client.aclose()


async def _empty_tables(dsn: str) -> None:
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        await connection.execute(_LEFT_BEHIND)
    finally:
        await connection.close()


async def _streaming(dsn: str) -> bool:
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        return bool(await connection.fetchval(_STREAMING) == len(REPLICAS))
    finally:
        await connection.close()


async def _answers(url: str) -> bool:
    try:
        async with aiohttp.ClientSession() as client, client.get(url, timeout=aiohttp.ClientTimeout(total=2)) as answer:
            return answer.status == 200
    except (aiohttp.ClientError, TimeoutError):
        return False


async def _until(trouble: str, condition: Callable[[], Awaitable[bool]], within_s: float = _PATIENCE_S) -> None:
    """Raises SandboxError with the trouble when the condition does not hold in time."""
    deadline = time.monotonic() + within_s
    while not await condition():
        if time.monotonic() > deadline:
            raise SandboxError(f"{trouble} after {within_s:g} s: end the sandbox with `down` and start another")
        await asyncio.sleep(_LOOK_S)
