"""Runs the pods that are bound to a node, on all nodes of the sandbox."""

import asyncio
import shutil
import threading
from pathlib import Path

from sandbox.kube import errors
from sandbox.kube.addresses import pod_pool, stateful_address
from sandbox.kube.environment import Surroundings
from sandbox.kube.logfile import LogFile
from sandbox.kube.objects import Object, is_deleting, name_of, namespace_of, uid_of
from sandbox.kube.podworker import PodWorker
from sandbox.kube.registry import Registry
from sandbox.kube.resources import NODES, PODS
from sandbox.kube.store import Change

_STOP_GRACE_S = 2.0


class Kubelet:
    """Follows the Pods of the store. Directories of pods lie below `directory`, by uid."""

    def __init__(self, registry: Registry, directory: Path, prefix: str) -> None:
        self._registry = registry
        self._directory = directory
        self._prefix = prefix
        self._addresses = pod_pool(prefix)
        self._workers: dict[str, PodWorker] = {}
        self._cleaning: set[asyncio.Task[None]] = set()
        self._stopped = False

    def start(self) -> None:
        """Begin. Raises RuntimeError off the main thread, where children would die with their thread."""
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("the kubelet must run on the main thread: its processes die with the thread")
        self._registry.store.subscribe(PODS.key, self._on_change)

    async def stop(self) -> None:
        """End all pods in parallel: SIGTERM, and SIGKILL of what is left after 2 s."""
        self._stopped = True
        workers = list(self._workers.values())
        for worker in workers:
            worker.terminate(_STOP_GRACE_S)
        await asyncio.gather(*(worker.wait() for worker in workers))
        await asyncio.gather(*self._cleaning, *(_remove_volumes(worker.where.directory) for worker in workers))

    def pids(self) -> dict[str, int]:
        """'namespace/pod/container' to process id."""
        return {
            f"{namespace_of(worker.pod)}/{name_of(worker.pod)}/{container}": pid
            for worker in self._workers.values()
            for container, pid in worker.pids().items()
        }

    def log_of(self, pod: Object, container_name: str | None, *, previous: bool) -> LogFile:
        """The log of a container's present or previous run. Raises ApiError."""
        worker = self._workers.get(uid_of(pod))
        container = worker.container(container_name) if worker is not None else None
        if container is None:
            what = container_name or pod["spec"]["containers"][0]["name"]
            raise errors.bad_request(f"container {what} is not valid for pod {name_of(pod)}")
        runs = container.logs[:-1] if previous else container.logs[-1:]
        if not runs:
            which = "previous terminated container" if previous else "container"
            raise errors.bad_request(f'{which} "{container.name}" in pod "{name_of(pod)}" not found')
        return runs[-1]

    def _on_change(self, change: Change) -> None:
        pod, uid = change.object, uid_of(change.object)
        worker = self._workers.get(uid)
        if change.type == "DELETED":
            if worker is not None:
                worker.kill()
                self._forget_if_over(worker)
        elif worker is None:
            if pod["spec"].get("nodeName") and not self._stopped and not is_deleting(pod):
                self._admit(pod)
        elif is_deleting(pod):
            self._terminate(worker, pod)

    def _admit(self, pod: Object) -> None:
        node = self._registry.store.get(NODES.key, "", pod["spec"]["nodeName"])
        host_ip = node["status"]["addresses"][0]["address"] if node is not None else "127.0.0.1"
        where = Surroundings(self._address(pod), host_ip, self._directory / uid_of(pod))
        worker = PodWorker(self._registry, pod, where, self._on_end)
        self._workers[worker.uid] = worker
        worker.start()

    def _address(self, pod: Object) -> str:
        owners = pod["metadata"].get("ownerReferences") or []
        if any(owner["kind"] == "StatefulSet" for owner in owners):
            return stateful_address(self._prefix, name_of(pod))
        return self._addresses.take()

    def _terminate(self, worker: PodWorker, pod: Object) -> None:
        if worker.finished:
            self._registry.remove(PODS, namespace_of(pod), name_of(pod))
        else:
            worker.terminate(pod["metadata"]["deletionGracePeriodSeconds"])

    def _on_end(self, worker: PodWorker) -> None:
        current = self._registry.store.get(PODS.key, namespace_of(worker.pod), name_of(worker.pod))
        if current is not None and uid_of(current) == worker.uid:
            if is_deleting(current):
                self._registry.remove(PODS, namespace_of(worker.pod), name_of(worker.pod))
        else:
            self._forget_if_over(worker)

    def _forget_if_over(self, worker: PodWorker) -> None:
        if worker.finished and self._workers.pop(worker.uid, None) is not None:
            self._addresses.release(worker.where.pod_ip)
            task = asyncio.get_running_loop().create_task(_remove_volumes(worker.where.directory))
            self._cleaning.add(task)
            task.add_done_callback(self._cleaning.discard)


async def _remove_volumes(directory: Path) -> None:
    await asyncio.to_thread(shutil.rmtree, directory / "volumes", ignore_errors=True)
