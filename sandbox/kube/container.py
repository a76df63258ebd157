"""One container of a pod: its process, its restarts with back-off, its probes, its logs."""

import asyncio
import logging
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass

from sandbox.kube.environment import ContainerConfigError, Surroundings, command_of
from sandbox.kube.events import Recorder
from sandbox.kube.logfile import LogFile
from sandbox.kube.objects import Object, name_of, namespace_of, now, uid_of
from sandbox.kube.probes import ProbeLoop, Target
from sandbox.kube.process import ManagedProcess
from sandbox.kube.registry import Registry

log = logging.getLogger(__name__)

# As the kubelet's: the first restart is immediate, then 10 s doubling to 5 min, forgotten after 10 min of running.
_BACK_OFF_FIRST_S = 10.0
_BACK_OFF_LAST_S = 300.0
_BACK_OFF_RESET_S = 600.0


@dataclass(frozen=True, slots=True)
class PodContext:
    """What the containers of a pod share."""

    registry: Registry
    pod: Object
    where: Surroundings
    recorder: Recorder
    changed: Callable[[], None]


class Container:
    """Call `run` once; it returns the last exit code when the container is not to be restarted any more."""

    def __init__(self, context: PodContext, spec: Object) -> None:
        self.spec = spec
        self.name = str(spec["name"])
        self.state: Object = {"waiting": {"reason": "PodInitializing"}}
        self.last_state: Object = {}
        self.restart_count = 0
        self.ready = False
        self.logs: list[LogFile] = []
        self._context = context
        self._process: ManagedProcess | None = None
        self._stopping = asyncio.Event()
        self._back_off_s = 0.0

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None and self._process.running else None

    @property
    def container_id(self) -> str:
        return f"process://{self._process.pid}" if self._process is not None else ""

    async def run(self, restart_policy: str) -> int:
        while True:
            started_s = time.monotonic()
            exit_code = await self._run_once()
            if self._stopping.is_set() or _finished(restart_policy, exit_code):
                return exit_code
            await self._back_off(time.monotonic() - started_s)
            if self._stopping.is_set():
                return exit_code
            self.restart_count += 1

    def terminate(self) -> None:
        """SIGTERM, and no restart."""
        self._stopping.set()
        if self._process is not None:
            self._process.terminate()

    def kill(self) -> None:
        """SIGKILL of the whole process tree, and no restart."""
        self._stopping.set()
        if self._process is not None:
            self._process.kill()

    async def _run_once(self) -> int:
        if self._stopping.is_set():
            return 0
        context, started_at = self._context, now()
        output = self._new_log()
        try:
            command = command_of(context.registry, context.pod, self.spec, context.where)
            self._process = ManagedProcess(command, output.write)
        except (OSError, subprocess.SubprocessError, ContainerConfigError) as error:
            output.close()
            context.recorder.warning(context.pod, "Failed", f"Error: {error}")
            return self._ended(128, started_at, {"reason": "StartError", "message": str(error)})
        self._started(started_at)
        exit_code = await self._attend(self._process)
        output.close()
        return self._ended(*_exit(exit_code, started_at))

    def _started(self, started_at: str) -> None:
        context, image = self._context, self.spec["image"]
        if "terminated" in self.state:
            self.last_state = self.state
        self.state = {"running": {"startedAt": started_at}}
        self.ready = "readinessProbe" not in self.spec
        context.recorder.normal(context.pod, "Pulled", f'Container image "{image}" already present on machine')
        context.recorder.normal(context.pod, "Created", f"Created container: {self.name}")
        context.recorder.normal(context.pod, "Started", f"Started container {self.name}")
        context.changed()

    async def _attend(self, process: ManagedProcess) -> int:
        """Probe the process until it ends."""
        probes = [asyncio.ensure_future(loop.run()) for loop in self._probe_loops(process)]
        for probe in probes:
            probe.add_done_callback(_log_failure)
        try:
            return await process.wait()
        finally:
            for probe in probes:
                probe.cancel()

    def _probe_loops(self, process: ManagedProcess) -> list[ProbeLoop]:
        loops = []
        if "readinessProbe" in self.spec:
            target = self._target("readinessProbe")
            loops.append(ProbeLoop(target, self._set_ready, self._unhealthy("Readiness"), eager=True))
        if "livenessProbe" in self.spec:
            target = self._target("livenessProbe")
            verdict = self._liveness_verdict(process)
            loops.append(ProbeLoop(target, verdict, self._unhealthy("Liveness"), eager=False))
        return loops

    def _target(self, kind: str) -> Target:
        ports = {port["name"]: port["containerPort"] for port in self.spec.get("ports", ()) if "name" in port}
        return Target(self.spec[kind], self._context.where.pod_ip, ports)

    def _set_ready(self, ready: bool) -> None:
        if ready != self.ready:
            self.ready = ready
            self._context.changed()

    def _unhealthy(self, kind: str) -> Callable[[str], None]:
        recorder, pod = self._context.recorder, self._context.pod
        return lambda problem: recorder.warning(pod, "Unhealthy", f"{kind} probe failed: {problem}")

    def _liveness_verdict(self, process: ManagedProcess) -> Callable[[bool], None]:
        context, told = self._context, False

        def verdict(alive: bool) -> None:
            nonlocal told
            if alive or told or self._stopping.is_set():
                return
            told = True
            message = f"Container {self.name} failed liveness probe, will be restarted"
            context.recorder.normal(context.pod, "Killing", message)
            process.terminate()
            grace_s = context.pod["spec"]["terminationGracePeriodSeconds"]
            asyncio.get_running_loop().call_later(grace_s, process.kill)

        return verdict

    def _ended(self, exit_code: int, started_at: str, details: Object) -> int:
        if "terminated" in self.state:
            self.last_state = self.state
        times = {"startedAt": started_at, "finishedAt": now()}
        self.state = {"terminated": {"exitCode": exit_code, **details, **times, "containerID": self.container_id}}
        self.ready = False
        self._context.changed()
        return exit_code

    async def _back_off(self, ran_s: float) -> None:
        if ran_s >= _BACK_OFF_RESET_S:
            self._back_off_s = 0.0
        delay_s = self._back_off_s
        self._back_off_s = min(max(delay_s * 2, _BACK_OFF_FIRST_S), _BACK_OFF_LAST_S)
        if delay_s == 0.0:
            return
        self._wait_in_back_off(delay_s)
        try:
            await asyncio.wait_for(self._stopping.wait(), delay_s)
        except TimeoutError:
            return

    def _wait_in_back_off(self, delay_s: float) -> None:
        context = self._context
        where = f"{name_of(context.pod)}_{namespace_of(context.pod)}({uid_of(context.pod)})"
        message = f"back-off {delay_s:.0f}s restarting failed container={self.name} pod={where}"
        self.last_state = self.state
        self.state = {"waiting": {"reason": "CrashLoopBackOff", "message": message}}
        text = f"Back-off restarting failed container {self.name} in pod {where}"
        context.recorder.warning(context.pod, "BackOff", text)
        context.changed()

    def _new_log(self) -> LogFile:
        directory = self._context.where.directory / self.name
        for old in self.logs[:-1]:
            old.delete()
        self.logs = [*self.logs[-1:], LogFile(directory / f"{self.restart_count}.log")]
        return self.logs[-1]


def _finished(restart_policy: str, exit_code: int) -> bool:
    return restart_policy == "Never" or (restart_policy == "OnFailure" and exit_code == 0)


def _exit(code: int, started_at: str) -> tuple[int, str, Object]:
    """Exit code as a container runtime gives it: 128 + number of the signal."""
    if code < 0:
        return 128 - code, started_at, {"reason": "Error", "signal": -code}
    return code, started_at, {"reason": "Completed" if code == 0 else "Error"}


def _log_failure(task: "asyncio.Future[None]") -> None:
    if not task.cancelled() and task.exception() is not None:
        log.error("a probe loop ended", exc_info=task.exception())
