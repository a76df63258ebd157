"""One run whose dependency goes away: how it ended, how soon, what it said, and what was left once the dependency was back."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import yaml

from accuracy.killing.life import Life, NotReachedError, life, target_of
from accuracy.killing.sandbox_leftovers import SandboxLeftovers
from accuracy.matrix.tcp_relay import TcpRelay
from accuracy.outages.cases import Case, Way
from accuracy.outages.dependencies import Place
from accuracy.sandbox import without_ours

ENDS_WITHIN_S = 180.0
"""Longer than any run may take: one that is late is measured, not cut off."""
HEALS_WITHIN_S = 60.0


@dataclass(frozen=True, slots=True)
class Ending:
    """What came of one case. `ended_s` counts from the start of the run; `wrong` names all that is not as it must be."""

    case: str
    ended_s: float | None = None
    verdict: str = ""
    said: str = ""
    wrong: tuple[str, ...] = ()
    reached: bool = True

    @property
    def good(self) -> bool:
        return self.ended_s is not None and not self.wrong

    def __str__(self) -> str:
        ended = "" if self.ended_s is None else f"{self.verdict} after {self.ended_s:g} s"
        return f"{self.case}: {'; '.join(filter(None, (ended, *self.wrong, self.said)))}"


async def outage(case: Case, folder: Path, environment: Mapping[str, str]) -> Ending:
    """Run the experiment in the empty folder through relays of the dependency, close them, open them when it has ended, heal, look."""
    document = target_of(environment)
    async with AsyncExitStack() as stack:
        relays = await case.dependency.through(Place(folder, document, stack))
        target = folder / "target.yaml"
        target.write_text(yaml.safe_dump(document), encoding="utf-8")
        ours = {**environment, "CHAOS_TARGET": str(target)}
        began = time.monotonic()
        if case.moment is None:
            await _close(relays, case.way)
        async with life(folder, ours) as run:
            try:
                if case.moment is not None:
                    await run.reached(case.moment)
                    await _close(relays, case.way)
                await asyncio.wait_for(run.process.wait(), ENDS_WITHIN_S)
            except NotReachedError as error:
                return Ending(str(case), wrong=(str(error),), reached=False)
            except TimeoutError:
                return Ending(str(case), wrong=(f"it did not end within {ENDS_WITHIN_S:g} s",))
            ended_s = round(time.monotonic() - began, 1)
            await _open(relays, case.way)
            left = await _left(run, ours, environment)
            verdict, said, wrong = _told(run, (*case.dependency.words, *(str(relay.port) for relay in relays)))
            return Ending(str(case), ended_s, verdict, said, (*wrong, *left))


async def _close(relays: Sequence[TcpRelay], way: Way) -> None:
    for relay in relays:
        if way == "refused":
            await relay.refuse()
        else:
            relay.hold()


async def _open(relays: Sequence[TcpRelay], way: Way) -> None:
    for relay in relays:
        if way == "refused":
            await relay.listen_again()
        else:
            relay.release()


def _told(run: Life, words: Sequence[str]) -> tuple[str, str, list[str]]:
    """The verdict, the sentence about the dependency, and what is wrong with how it ended."""
    lines = (run.folder / "stdout.txt").read_text(errors="replace").splitlines()
    last = lines[-1] if lines else ""
    verdict = last.partition(" ")[0].removeprefix("verdict=") if last.startswith("verdict=") else ""
    wrong = [] if run.process.returncode == 1 else [f"exit code {run.process.returncode}"]
    if verdict in ("", "PASS"):
        wrong.append(f"its last line is {last!r}")
    errors = (run.folder / "stderr.txt").read_text(errors="replace")
    if "Traceback" in errors:
        wrong.append("it printed a traceback")
    sentences = [*_reasons(run.run / "report.json"), *errors.splitlines()]
    said = next((one for one in sentences if any(word in one for word in words)), "")
    return verdict, said, wrong if said else [*wrong, f"nothing it said has one of {', '.join(words)}"]


def _reasons(report: Path) -> list[str]:
    """Why the run ended as it did, and why each cell is what it is."""
    if not report.is_file():
        return []
    document = json.loads(report.read_text(encoding="utf-8"))
    return [str(document["ended"].get("reason", "")), *(cell["because"] for cell in document["cells"] if cell["verdict"] != "PASS")]


async def _left(run: Life, ours: Mapping[str, str], environment: Mapping[str, str]) -> list[str]:
    """What is there after `orchestrator heal`, which must say that it is clean."""
    healed = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "orchestrator", "heal", str(run.run)),
        env=without_ours(os.environ) | dict(ours),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await asyncio.wait_for(healed.communicate(), HEALS_WITHIN_S)
    except TimeoutError:
        healed.kill()
        await healed.wait()
        return [f"heal did not end within {HEALS_WITHIN_S:g} s"]
    words = output.decode(errors="replace").strip().splitlines()
    wrong = [] if healed.returncode == 0 else [f"heal exited {healed.returncode}: {words[-1] if words else 'it said nothing'}"]
    async with SandboxLeftovers(target_of(environment)) as leftovers:
        return [*wrong, *await leftovers.left(), *(f"process {pid} is left" for pid in run.left_behind())]
