"""The scripted target as a child process: started with its script, told minute 0, asked for its ledger at the end."""

from __future__ import annotations

import asyncio
import contextlib
import sys

from accuracy.calibrate.ledger import Ledger, read_ledger
from accuracy.calibrate.timetable import Script
from orchestrator.errors import HarnessError
from steady_state.instants import Instant

_READY_WITHIN_S = 20.0
_ENDS_WITHIN_S = 20.0
_LONGEST_LINE_BYTES = 64 << 20


class ScriptedTarget:
    """One process on a loopback port that the kernel chose."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self._process = process
        self.url = f"http://127.0.0.1:{port}"

    @classmethod
    async def start(cls, script: Script) -> ScriptedTarget:
        """Returns when it listens. Raises HarnessError."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "accuracy.calibrate.target"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
            limit=_LONGEST_LINE_BYTES,
        )
        assert process.stdin is not None
        process.stdin.write(script.model_dump_json().encode() + b"\n")
        line = await _line(process, _READY_WITHIN_S)
        if not line.strip().isdigit():
            await _end(process)
            raise HarnessError(f"the scripted target did not start within {_READY_WITHIN_S:g} s")
        return cls(process, int(line))

    async def begin(self, minute_0: Instant) -> None:
        """From now on it keeps its timetable."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"begin {minute_0!r}\n".encode())
        await self._process.stdin.drain()

    async def finish(self) -> Ledger:
        """End it; what it did to which request. Raises HarnessError when it does not say."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        line = await _line(self._process, _ENDS_WITHIN_S)
        await _end(self._process)
        if not line:
            raise HarnessError("the scripted target ended without its ledger")
        return read_ledger(line.decode())

    async def kill(self) -> None:
        """End it, whatever it is doing; a second time does nothing."""
        await _end(self._process)


async def _line(process: asyncio.subprocess.Process, within_s: float) -> bytes:
    """The next line of its output; empty when there is none in time."""
    assert process.stdout is not None
    with contextlib.suppress(TimeoutError):
        return await asyncio.wait_for(process.stdout.readline(), within_s)
    return b""


async def _end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.wait()
