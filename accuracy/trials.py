"""Trials one after the other on one sandbox that outlives them, each in a folder of its own; the folder of a bad one is kept."""

from __future__ import annotations

import contextlib
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

    @property
    def reached(self) -> bool:
        """Whether its run came to the moment at which something was to be done to it."""
        ...


TRIES = 2
"""A busy machine may keep a run from its moment (refused, for the platform is not steady): then it is begun once more, and says so."""
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
        place = f"[{number}/{len(cases)}]"
        for begun in range(1, TRIES + 1):
            outcome = await attempt(case, _folder(root, f"{number:02d}-{begun}"), environment)
            _tell(place, outcome, root / f"{number:02d}-{begun}")
            if not outcome.good:
                # The next run would be refused, or would be judged on what this one left.
                sandbox.plant()
            if outcome.reached or begun == TRIES:
                break
            print(f"{place} begun once more: it did not come to its moment", flush=True)
        found.append(outcome)
    _forget(root)


def _folder(root: Path, name: str) -> Path:
    folder = root / name
    folder.mkdir()
    return folder


def _tell(place: str, outcome: Outcome, folder: Path) -> None:
    """The folder of a good one goes, that of a bad one is named."""
    print(f"{place} {outcome}{'' if outcome.good else ' <<<'}", flush=True)
    if outcome.good:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        print(f"  kept: {folder}", flush=True)


def _forget(root: Path) -> None:
    """Unless something was kept there."""
    with contextlib.suppress(OSError):
        root.rmdir()
