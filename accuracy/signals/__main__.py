"""Command line of the signal test: `python -m accuracy.signals`."""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from accuracy.results import Results, write_results
from accuracy.sandbox import DetachedSandbox, SandboxTrouble
from accuracy.signals.cases import Case, cases
from accuracy.signals.ending import Ending, end
from accuracy.signals.interpreters import interpreters

AIM_S = 7.0
"""Source: design 3 and the issue "nothing is left behind": finished within 7 s."""
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0 every run ended as it must and in time; 1 one did not, or no sandbox can be had; 130 interrupted."""
    argparse.ArgumentParser(prog="python -m accuracy.signals", description="End runs by signals in every phase.").parse_args(arguments)
    # Under nohup a run does not hear SIGHUP, and should not; here it must.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    found: list[Ending] = []
    wanted: list[Case] = []
    code = 1
    try:
        wanted = cases(interpreters(_say))
        with DetachedSandbox.up(f"signals-{os.getpid()}") as sandbox:
            asyncio.run(_all(wanted, sandbox, found))
    except (SandboxTrouble, subprocess.CalledProcessError) as error:
        print(f"signals: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        code = INTERRUPTED
    good = [one for one in found if _is_good(one)]
    met = bool(wanted) and len(good) == len(wanted)
    latest = max((one.after_s or 0.0 for one in found), default=None)
    figures = {"cases": len(wanted), "good": len(good), "latest_s": latest}
    goal = f"healed, reported, exit 1, within {AIM_S:g} s, nothing left"
    print(f"written: {write_results(Results('signals', goal, met, figures, [asdict(one) for one in found]))}")
    print(f"signal test: {len(good)} of {len(wanted)} as they must be, the slowest ended after {latest} s")
    return 0 if met else code


async def _all(wanted: Sequence[Case], sandbox: DetachedSandbox, found: list[Ending]) -> None:
    environment = sandbox.environment()
    folder = Path(tempfile.mkdtemp(prefix="chaos-signals-"))
    for number, case in enumerate(wanted, start=1):
        place = folder / f"{number:02d}"
        place.mkdir()
        ending = await end(case, place, environment)
        found.append(ending)
        _say(f"[{number}/{len(wanted)}] {_words(ending)}")
        if _is_good(ending):
            shutil.rmtree(place, ignore_errors=True)
        else:
            # The next run would be refused, or would be judged on what this one left.
            _say(f"  kept: {place}")
            sandbox.plant()
    if all(map(_is_good, found)):
        shutil.rmtree(folder, ignore_errors=True)


def _is_good(ending: Ending) -> bool:
    return ending.after_s is not None and ending.after_s <= AIM_S and not ending.wrong


def _words(ending: Ending) -> str:
    after = "" if ending.after_s is None else f"ended after {ending.after_s:.2f} s"
    return f"{ending.case}: {'; '.join(filter(None, (after, *ending.wrong)))}{'' if _is_good(ending) else ' <<<'}"


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
