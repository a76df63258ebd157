"""One process-backed cluster: start it, apply objects, wait until they are ready, stop it."""

import asyncio
import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sandbox.kube import certificates, kubeconfig, resources
from sandbox.kube.api import ApiServer
from sandbox.kube.controllers.manager import ControllerManager
from sandbox.kube.kubelet import Kubelet
from sandbox.kube.nodes import bootstrap
from sandbox.kube.objects import Object
from sandbox.kube.proxychild import ServiceProxyChild
from sandbox.kube.readiness import WATCHED, Readiness, expected_listeners, workload_readiness
from sandbox.kube.registry import Registry
from sandbox.kube.store import Store

__all__ = ["Cluster", "ClusterSettings", "Readiness"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """Names that a client finds in the kubeconfig."""

    context: str = "sandbox"
    namespace: str = "media-gateway"


class Cluster:
    """A Kubernetes API on 127.0.0.1, its controllers, its kubelet and its service proxy.

    `start` must be called on the main thread: pods die with the thread that started them (PR_SET_PDEATHSIG).
    Everything lives below `state_dir`: kubeconfig (mode 0600), CA certificate, container logs, emptyDir volumes.
    `prefix` is the sandbox's /16 of 127/8, such as '127.83': Services get {prefix}.1.x, pods {prefix}.16.1 and up,
    those of StatefulSets always the same one from {prefix}.200.1 on;
    {prefix}.0.x and {prefix}.2.x to {prefix}.15.x are free for the caller (nodes are named {prefix}.0.11 and .12).
    """

    kubeconfig: Path
    """Kubeconfig of the administrator; its current context is `settings.context`. Exists after `start`."""
    ca_certificate: Path
    """PEM file to verify the API server with. Exists after `start`."""
    api_url: str
    """https://127.0.0.1:<ephemeral port>. Known after `start`."""
    token: str
    """Bearer token of the administrator."""

    def __init__(self, state_dir: Path, prefix: str, settings: ClusterSettings | None = None) -> None:
        self.settings = settings or ClusterSettings()
        self.kubeconfig = state_dir / "kubeconfig"
        self.ca_certificate = state_dir / "ca.pem"
        self.api_url = ""
        self.token = secrets.token_urlsafe(32)
        self._state_dir = state_dir
        self._prefix = prefix
        self.registry = Registry(Store(), prefix)
        self._controllers = ControllerManager(self.registry)
        self._kubelet = Kubelet(self.registry, state_dir / "pods", prefix)
        self._api = ApiServer(self.registry, self._kubelet, self.token)
        self._changed = asyncio.Event()
        self._proxy = ServiceProxyChild(self.kubeconfig, state_dir / "serviceproxy.log", self._changed.set)

    async def start(self) -> None:
        """Bring up API server, controllers, kubelet and service proxy; returns when the API answers."""
        self._state_dir.mkdir(parents=True, exist_ok=True)
        pems = certificates.issue()
        self.ca_certificate.write_bytes(pems.authority)
        self._kubelet.start()
        self._controllers.start()
        bootstrap(self.registry, self._prefix)
        self.api_url = await self._api.start(pems.server_context)
        access = kubeconfig.Access(self.api_url, pems.authority, self.token)
        kubeconfig.write(self.kubeconfig, access, context=self.settings.context, namespace=self.settings.namespace)
        self._proxy.start()

    async def apply(self, objects: list[Object]) -> None:
        """Create each object, or merge it into the one that exists; in the order given (Namespaces first).

        Raises `sandbox.kube.errors.ApiError` for an object that the API would refuse.
        """
        for obj in objects:
            resource = resources.for_kind(obj["apiVersion"], obj["kind"])
            namespace = obj["metadata"].get("namespace", self.settings.namespace) if resource.namespaced else ""
            self.registry.apply(resource, namespace, obj)
            await asyncio.sleep(0)

    def readiness(self, namespace: str) -> Readiness:
        """How many replicas of the namespace's workloads are ready now, and which Services do not listen yet."""
        found = workload_readiness(self.registry.store, namespace)
        expected = expected_listeners(self.registry.store, namespace)
        silent = {f"service {name}" for address, name in expected.items() if address not in self._proxy.listening}
        return Readiness(found.ready, found.desired, found.waiting + tuple(sorted(silent)))

    async def wait_ready(self, namespace: str, timeout_s: float, progress: Callable[[Readiness], None] | None = None) -> None:
        """Wait until all Deployments and StatefulSets are fully ready and the service proxy listens for them.

        `progress` is called on the loop whenever the picture changes. Raises TimeoutError that names what is missing.
        """
        last: Readiness | None = None
        unsubscribe = [self.registry.store.subscribe(kind.key, lambda _: self._changed.set()) for kind in WATCHED]
        try:
            async with asyncio.timeout(timeout_s):
                while (readiness := self.readiness(namespace)).waiting:
                    if progress is not None and readiness != last:
                        progress(readiness)
                    last = readiness
                    await self._changed.wait()
                    self._changed.clear()
        except TimeoutError:
            waiting = ", ".join(self.readiness(namespace).waiting)
            raise TimeoutError(f"not ready after {timeout_s:g} s: {waiting}") from None
        finally:
            for end in unsubscribe:
                end()
        if progress is not None:
            progress(readiness)

    def pids(self) -> dict[str, int]:
        """The processes that run now: 'namespace/pod/container' or 'serviceproxy' to process id."""
        return {**self._kubelet.pids(), **self._proxy.pids()}

    async def stop(self) -> None:
        """End every pod (SIGTERM, after 2 s SIGKILL of its whole tree), then the rest. Idempotent."""
        self._controllers.stop()
        await self._kubelet.stop()
        await self._proxy.stop()
        await self._api.stop()
