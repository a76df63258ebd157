"""One pod on a node: its init containers, its containers, its status and its end."""

import asyncio
import logging
from collections.abc import Callable

from sandbox.kube.container import Container, PodContext
from sandbox.kube.environment import Surroundings, make_volumes
from sandbox.kube.events import Recorder
from sandbox.kube.objects import Object, name_of, namespace_of, now, uid_of
from sandbox.kube.podstatus import pod_status
from sandbox.kube.registry import Registry
from sandbox.kube.resources import PODS

log = logging.getLogger(__name__)


class PodWorker:
    """Starts with `start`, ends after `terminate` or `kill`; `on_end` is called once when all its processes ended."""

    def __init__(self, registry: Registry, pod: Object, where: Surroundings, on_end: Callable[["PodWorker"], None]) -> None:
        self.pod = pod
        self.uid = uid_of(pod)
        self.where = where
        self.stopping = False
        self._registry = registry
        self._on_end = on_end
        recorder = Recorder(registry, "kubelet", pod["spec"]["nodeName"])
        context = PodContext(registry, pod, where, recorder, self._report)
        self._recorder = recorder
        self._init = [Container(context, spec) for spec in pod["spec"].get("initContainers", ())]
        self._containers = [Container(context, spec) for spec in pod["spec"]["containers"]]
        self._start_time = now()
        self._phase = "Pending"
        self._task: asyncio.Task[None] | None = None
        self._deadline: asyncio.TimerHandle | None = None

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run())
        self._task.add_done_callback(self._ended)

    async def wait(self) -> None:
        if self._task is not None:
            await asyncio.wait([self._task])

    @property
    def finished(self) -> bool:
        return self._task is not None and self._task.done()

    def terminate(self, grace_s: float) -> None:
        """SIGTERM now, SIGKILL of what is left after `grace_s` at the latest."""
        if not self.stopping:
            self.stopping = True
            for container in self._all():
                if container.pid is not None:
                    self._recorder.normal(self.pod, "Killing", f"Stopping container {container.name}")
                container.terminate()
        loop = asyncio.get_running_loop()
        if self._deadline is not None:
            if self._deadline.when() <= loop.time() + grace_s:
                return
            self._deadline.cancel()
        self._deadline = loop.call_later(grace_s, self.kill)

    def kill(self) -> None:
        """SIGKILL of all its process trees, now."""
        self.stopping = True
        for container in self._all():
            container.kill()

    def pids(self) -> dict[str, int]:
        """Container name to process id, for those that run."""
        return {container.name: container.pid for container in self._all() if container.pid is not None}

    def container(self, name: str | None) -> Container | None:
        """The container of that name; without a name the first one."""
        if name is None:
            return self._containers[0]
        return next((container for container in self._all() if container.name == name), None)

    def _all(self) -> list[Container]:
        return [*self._init, *self._containers]

    async def _run(self) -> None:
        make_volumes(self.pod, self.where.directory)
        self._report()
        policy = self.pod["spec"]["restartPolicy"]
        for container in self._init:
            code = await container.run("Never" if policy == "Never" else "OnFailure")
            if self.stopping or code != 0:
                return self._finish("Failed")
        self._phase = "Running"
        codes = await asyncio.gather(*(container.run(policy) for container in self._containers))
        return self._finish("Failed" if any(codes) else "Succeeded")

    def _finish(self, phase: str) -> None:
        self._phase = phase
        self._report()

    def _ended(self, task: "asyncio.Task[None]") -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        if not task.cancelled() and task.exception() is not None:
            log.error("pod %s: its worker ended", name_of(self.pod), exc_info=task.exception())
        self._on_end(self)

    def _report(self) -> None:
        def change(pod: Object) -> None:
            if uid_of(pod) == self.uid:
                pod["status"] = pod_status(pod, self._view(), self._init, self._containers)

        self._registry.mutate(PODS, namespace_of(self.pod), name_of(self.pod), change)

    def _view(self) -> Object:
        return {
            "phase": self._phase,
            "hostIP": self.where.host_ip,
            "hostIPs": [{"ip": self.where.host_ip}],
            "podIP": self.where.pod_ip,
            "podIPs": [{"ip": self.where.pod_ip}],
            "startTime": self._start_time,
        }
