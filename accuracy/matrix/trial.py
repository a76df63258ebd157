"""One experiment by the public command, in a folder of its own, with what is done to it from outside beside it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from accuracy.chaos_command import last_words, started
from accuracy.matrix.harms import Around, During, HarmError, Scene
from accuracy.matrix.sight import RunEnded, RunSight
from accuracy.sandbox import without_ours

FINISH_WITHIN_S = 300.0
HEAL_WITHIN_S = 150.0
END_WITHIN_S = 60.0
"""A run that was told to end heals, judges and reports; then it is killed."""


class TrialError(Exception):
    """The experiment left no report, or what was to be done to it was not done; the text says why."""


@dataclass(frozen=True, slots=True)
class Order:
    """What to run where. `environment` holds the exports of `sandbox env`, CHAOS_TARGET among them."""

    experiment: Path
    folder: Path
    environment: Mapping[str, str]
    harm: Around | None = None


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of it: the report, the folder of the run, and what the harm did in words."""

    report: dict[str, Any]
    run: Path
    done: str = ""


async def trial(order: Order) -> Trial:
    """Run the experiment to its end. Raises TrialError."""
    order.folder.mkdir(parents=True)
    await _heal_what_is_left(order)
    scene = _scene(order)
    try:
        async with _around(order.harm, scene) as during:
            target = order.folder / "target.yaml"
            target.write_text(yaml.safe_dump(scene.document, sort_keys=False), encoding="utf-8")
            done = await _run(order, target, during)
    except (HarmError, httpx.HTTPError) as error:
        raise TrialError(f"it could not be done to the run: {type(error).__name__} {error}") from error
    run = (order.folder / "runs" / "latest").resolve()
    report = run / "report.json"
    if not report.is_file():
        raise TrialError(f"the run left no report: {last_words(order.folder)}")
    return Trial(json.loads(report.read_text(encoding="utf-8")), run, done)


async def _heal_what_is_left(order: Order) -> None:
    """An earlier run whose heal was refused keeps ours away: by what it mirrored on the platform, since the harm's addresses are gone."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "orchestrator", "heal"),
        cwd=order.folder.parent,
        env=without_ours(os.environ) | dict(order.environment),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await asyncio.wait_for(process.communicate(), HEAL_WITHIN_S)
    if process.returncode != 0:
        raise TrialError(f"something is left of an earlier run: {said.decode(errors='replace').strip()[-500:]}")


def _scene(order: Order) -> Scene:
    described = Path(order.environment["CHAOS_TARGET"]).read_text(encoding="utf-8")
    return Scene(order.folder, yaml.safe_load(described))


@contextlib.asynccontextmanager
async def _around(harm: Around | None, scene: Scene) -> AsyncIterator[During | None]:
    if harm is None:
        yield None
        return
    async with harm(scene) as during:
        yield during


async def _run(order: Order, target: Path, during: During | None) -> str:
    """The command from start to end, the harm beside it. Returns what the harm says it did."""
    async with _command(order, target) as process:
        sight = RunSight(process.pid, order.folder, lambda: process.returncode is None)
        beside = asyncio.create_task(_done(during, sight))
        try:
            await asyncio.wait_for(process.wait(), FINISH_WITHIN_S)
            return await beside
        except TimeoutError as error:
            raise TrialError(f"the run did not end within {FINISH_WITHIN_S:g} s: {last_words(order.folder)}") from error
        except (RunEnded, LookupError) as error:
            raise TrialError(f"it was not done to the run: {error}: {last_words(order.folder)}") from error
        finally:
            beside.cancel()
            await asyncio.gather(beside, return_exceptions=True)


async def _done(during: During | None, sight: RunSight) -> str:
    return "" if during is None else await during(sight)


@contextlib.asynccontextmanager
async def _command(order: Order, target: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """`chaos run`, ended cleanly when it is left."""
    environment = without_ours(os.environ) | dict(order.environment) | {"CHAOS_TARGET": str(target)}
    process = await started(order.experiment, order.folder, environment)
    try:
        yield process
    finally:
        await _end(process)


async def _end(process: asyncio.subprocess.Process) -> None:
    """First as Ctrl-C would, so that it takes its faults away; kill it when that does not work."""
    for number, within_s in ((signal.SIGINT, END_WITHIN_S), (signal.SIGKILL, None)):
        if process.returncode is not None:
            return
        process.send_signal(number)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), within_s)
