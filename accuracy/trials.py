"""Trials one after the other on one sandbox that outlives them, each in a folder of its own; the folder of a bad one is kept."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from accuracy.sandbox import DetachedSandbox


class Outcome(Protocol):
    """What came of a trial."""

    @property
    def good(self) -> bool:
        """Whether it was as it must be."""
        ...


Case = TypeVar("Case")
Found = TypeVar("Found", bound=Outcome)


async def tried(
    cases: Sequence[Case],
    sandbox: DetachedSandbox,
    attempt: Callable[[Case, Path, Mapping[str, str]], Awaitable[Found]],
    found: list[Found],
) -> None:
    """Attempt each case in an empty folder with the sandbox's environment; what comes of it is said and added to `found`."""
    environment = sandbox.environment()
    root = Path(tempfile.mkdtemp(prefix="chaos-trials-"))
    for number, case in enumerate(cases, start=1):
        folder = root / f"{number:02d}"
        folder.mkdir()
        outcome = await attempt(case, folder, environment)
        found.append(outcome)
        print(f"[{number}/{len(cases)}] {outcome}{'' if outcome.good else ' <<<'}", flush=True)
        if outcome.good:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            # The next run would be refused, or would be judged on what this one left.
            print(f"  kept: {folder}", flush=True)
            sandbox.plant()
    if all(one.good for one in found):
        shutil.rmtree(root, ignore_errors=True)
