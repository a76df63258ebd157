"""The Kubernetes API, read-only: lists, gets, pod proxy and watches, as JSON that is parsed here.

The official library loads credentials and builds the connection pool; its generated methods are not used, because their
models and call signatures differ between its releases. Blocking calls run in threads of this client only.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import urllib3
from kubernetes import client as kubernetes_client
from kubernetes import config as kubernetes_config

from probes.clients.kube_stream import Stream
from probes.clients.kube_watch import Watch
from probes.clients.pod_log import LogLine, LogStream, log_line
from probes.clients.pods import Json, Pod, Workload, pod_of, workload_of
from probes.clients.token_file import reading_anew, token_file
from probes.clients.unreachable import Unreachable, words
from probes.clock import Clock
from probes.target import Kubernetes

T = TypeVar("T")
TIMEOUT_S = 1.0
THREADS = 32
WATCH_S = 300
CREDENTIALS_S = 1.0
NO_HEADERS: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer of a pod (or, when the pod could not be reached, of the API server)."""

    status: int
    body: bytes


@dataclass(frozen=True, slots=True)
class PodList:
    """All pods of the namespace at the store's `version`."""

    version: int
    pods: tuple[Pod, ...]


class KubeReader:
    """Reads one namespace. Every call raises Unreachable within its time-out; `close()` when done."""

    def __init__(self, target: Kubernetes, clock: Clock, *, threads: int = THREADS) -> None:
        """Raises Unreachable when the kubeconfig or the context cannot be used."""
        self._namespace = target.namespace
        self._clock = clock
        self._api = api_client(target, connections=threads)
        self._host = str(self._api.configuration.host).rstrip("/")
        self._credentials: tuple[float, dict[str, str]] = (float("-inf"), {})
        self._threads = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="kube-reader")

    def close(self) -> None:
        """Lets go of threads and connections; calls under way end at their time-outs."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._api.rest_client.pool_manager.clear()

    async def pods(self, *, label_selector: str = "") -> PodList:
        document = await self.get(f"/api/v1/namespaces/{self._namespace}/pods", {"labelSelector": label_selector} if label_selector else {})
        pods = tuple(pod_of(entry) for entry in document.get("items") or ())
        return PodList(version=int(document["metadata"]["resourceVersion"]), pods=pods)

    async def workload(self, resource: str, name: str) -> Workload:
        """`resource` is deployments or statefulsets."""
        return workload_of(await self.get(f"/apis/apps/v1/namespaces/{self._namespace}/{resource}/{name}"))

    async def get(self, path: str, query: Mapping[str, str] | None = None, *, timeout_s: float = TIMEOUT_S) -> Json:
        """A document of the API server. A status other than 200 is Unreachable with that status."""
        answer = await self._fetch(path, query or {}, timeout_s)
        document = _document(path, answer.body)
        if answer.status != 200:
            raise Unreachable(path, f"{answer.status} {document.get('message', '')}".rstrip(), status=answer.status)
        return document

    async def pod_get(self, pod: str, port: int, path: str, *, timeout_s: float = TIMEOUT_S) -> Answer:
        """GET `path` of one pod through the API server, whatever status it has."""
        return await self._fetch(self._proxied(pod, port, path), {}, timeout_s)

    async def pod_ask(self, pod: str, port: int, path: str, query: Mapping[str, str], headers: Mapping[str, str]) -> Answer:
        """The same with a query and headers of ours, which reach the pod."""
        return await self._fetch(self._proxied(pod, port, path), query, TIMEOUT_S, headers)

    def watch_pods(self, version: int) -> Watch:
        """Changes of the namespace's pods after `version`. Use as an async context manager, then iterate."""
        query = {"watch": "true", "resourceVersion": str(version), "allowWatchBookmarks": "true", "timeoutSeconds": str(WATCH_S)}
        path = f"/api/v1/namespaces/{self._namespace}/pods"
        return Watch(what=path, opener=lambda: self._open(path, query), clock=self._clock)

    async def pod_log(self, pod: str, *, since: str = "", timeout_s: float = TIMEOUT_S) -> list[LogLine]:
        """What the pod's present container has written; only from the stamp `since` on, where one is given."""
        path, query = self._log(pod, since)
        answer = await self._fetch(path, query, timeout_s)
        if answer.status != 200:
            raise Unreachable(path, f"answered {answer.status}", status=answer.status)
        t = self._clock.now()
        return [log_line(line, t) for line in answer.body.split(b"\n") if line.strip()]

    def follow_log(self, pod: str, *, since: str = "") -> LogStream:
        """The same, and every later line as it comes. Use as an async context manager, then iterate."""
        path, query = self._log(pod, since)
        return LogStream(what=path, opener=lambda: self._open(path, query | {"follow": "true"}), clock=self._clock)

    def _log(self, pod: str, since: str) -> tuple[str, dict[str, str]]:
        asked = {"timestamps": "true"} | ({"sinceTime": since} if since else {})
        return f"/api/v1/namespaces/{self._namespace}/pods/{pod}/log", asked

    def _proxied(self, pod: str, port: int, path: str) -> str:
        return f"/api/v1/namespaces/{self._namespace}/pods/{pod}:{port}/proxy/{path.lstrip('/')}"

    async def _fetch(self, path: str, query: Mapping[str, str], timeout_s: float, headers: Mapping[str, str] = NO_HEADERS) -> Answer:
        return await self._in_thread(path, lambda: self._blocking_get(path, query, timeout_s, headers), timeout_s)

    async def _in_thread(self, what: str, call: Callable[[], T], timeout_s: float) -> T:
        try:
            # The outer limit catches a body that trickles: urllib3's time-out is one for each read.
            async with asyncio.timeout(timeout_s * 1.5):
                return await asyncio.get_running_loop().run_in_executor(self._threads, call)
        except TimeoutError as error:
            raise Unreachable(what, f"no complete answer within {timeout_s * 1.5:g} s") from error

    def _blocking_get(self, path: str, query: Mapping[str, str], timeout_s: float, headers: Mapping[str, str]) -> Answer:
        try:
            response = self._request(path, query, urllib3.Timeout(total=timeout_s), headers)
        except urllib3.exceptions.HTTPError as error:
            raise Unreachable(path, words(error)) from error
        return Answer(status=response.status, body=response.data)

    def _open(self, path: str, query: Mapping[str, str]) -> Stream:
        # A watch may be silent for long; the one who lists beside it finds out when it is dead.
        timeout = urllib3.Timeout(connect=TIMEOUT_S, read=WATCH_S + 30)
        return self._request(path, query, timeout, preload_content=False)

    def _request(
        self, path: str, query: Mapping[str, str], timeout: urllib3.Timeout, headers: Mapping[str, str] = NO_HEADERS, **more: Any
    ) -> urllib3.BaseHTTPResponse:
        pool: urllib3.PoolManager = self._api.rest_client.pool_manager
        sent = {**self._headers(), **headers}
        return pool.request(
            "GET", self._host + path, fields=dict(query), headers=sent, timeout=timeout, retries=False, redirect=False, **more
        )

    def _headers(self) -> dict[str, str]:
        # The library renews tokens that expire when it is asked for them, and each asking costs it half as much as a request.
        now = self._clock.now()
        made_at, headers = self._credentials
        if now - made_at >= CREDENTIALS_S:
            settings = self._api.configuration.auth_settings().values()
            headers = {"accept": "application/json"} | {entry["key"]: entry["value"] for entry in settings if entry["in"] == "header"}
            self._credentials = (now, headers)
        return headers


def api_client(target: Kubernetes, *, connections: int) -> Any:
    """The official library's client with the credentials of this context only. Raises Unreachable."""
    settings = kubernetes_client.Configuration()
    settings.connection_pool_maxsize = connections
    # Proxies of the environment are for far clusters, never for this machine.
    settings.no_proxy = ",".join(filter(None, [settings.no_proxy, "localhost,127.0.0.0/8"]))
    try:
        kubernetes_config.load_kube_config(
            config_file=str(target.kubeconfig), context=target.context, client_configuration=settings, persist_config=False
        )
    except (kubernetes_config.ConfigException, OSError) as error:
        raise Unreachable(f"context {target.context} in {target.kubeconfig}", words(error)) from error
    token = token_file(target.kubeconfig, target.context)
    if token is not None:
        settings.refresh_api_key_hook = reading_anew(token)
    return kubernetes_client.ApiClient(configuration=settings)


def _document(what: str, body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except ValueError as error:
        raise Unreachable(what, f"the answer is not JSON: {body[:100]!r}") from error
    if not isinstance(document, dict):
        raise Unreachable(what, f"the answer is not a JSON object: {body[:100]!r}")
    return document
