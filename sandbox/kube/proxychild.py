"""The service proxy as a child process: started, listened to, started again when it ends."""

import asyncio
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path

import orjson

from sandbox.kube.logfile import LogFile
from sandbox.kube.process import Command, ManagedProcess

log = logging.getLogger(__name__)

_FIRST_RETRY_S = 0.1
_LAST_RETRY_S = 5.0
_STOP_GRACE_S = 1.0


class ServiceProxyChild:
    """`listening` holds the addresses ('ADDRESS:PORT') that it accepts connections on, by its own report."""

    def __init__(self, kubeconfig: Path, log_path: Path, on_change: Callable[[], None]) -> None:
        self.listening: frozenset[str] = frozenset()
        self._kubeconfig = kubeconfig
        self._log_path = log_path
        self._on_change = on_change
        self._partial = b""
        self._process: ManagedProcess | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._keep_running())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        if self._process is not None and self._process.running:
            self._process.terminate()
            asyncio.get_running_loop().call_later(_STOP_GRACE_S, self._process.kill)
            await self._process.wait()

    def pids(self) -> dict[str, int]:
        running = self._process is not None and self._process.running
        return {"serviceproxy": self._process.pid} if self._process is not None and running else {}

    async def _keep_running(self) -> None:
        output = LogFile(self._log_path)
        command = Command(
            [sys.executable, "-m", "sandbox.kube.serviceproxy", "--kubeconfig", str(self._kubeconfig)],
            os.environ,
            str(Path.cwd()),
        )
        retry_s = _FIRST_RETRY_S
        while True:
            try:
                self._process = ManagedProcess(command, lambda data: self._read(data, output))
                ended = f"exit code {await self._process.wait()}"
            except OSError as error:
                ended = str(error)
            self._set_listening(frozenset())
            log.warning("the service proxy ended (%s), starts again in %.1f s", ended, retry_s)
            await asyncio.sleep(retry_s)
            retry_s = min(retry_s * 2, _LAST_RETRY_S)

    def _read(self, data: bytes, output: LogFile) -> None:
        output.write(data)
        lines = (self._partial + data).split(b"\n")
        self._partial = lines.pop()
        for line in lines:
            if line.startswith(b"{"):
                self._set_listening(frozenset(orjson.loads(line)["listening"]))

    def _set_listening(self, addresses: frozenset[str]) -> None:
        self.listening = addresses
        self._on_change()
