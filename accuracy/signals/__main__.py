"""Command line of the signal test: `python -m accuracy.signals`."""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict

from accuracy.interrupting import INTERRUPTED, end_as_by_ctrl_c
from accuracy.results import Results, write_results
from accuracy.sandbox import DetachedSandbox, SandboxTrouble
from accuracy.signals.cases import Case, cases
from accuracy.signals.ending import AIM_S, Ending, end
from accuracy.signals.interpreters import interpreters
from accuracy.trials import tried


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0 every run ended as it must and in time; 1 one did not, or no sandbox can be had; 130 interrupted."""
    argparse.ArgumentParser(prog="python -m accuracy.signals", description="End runs by signals in every phase.").parse_args(arguments)
    end_as_by_ctrl_c()
    found: list[Ending] = []
    wanted: list[Case] = []
    code = 1
    try:
        wanted = cases(interpreters(_say))
        with DetachedSandbox.up(f"signals-{os.getpid()}") as sandbox:
            asyncio.run(tried(wanted, sandbox, end, found))
    except (SandboxTrouble, subprocess.CalledProcessError) as error:
        print(f"signals: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        code = INTERRUPTED
    good = [one for one in found if one.good]
    met = bool(wanted) and len(good) == len(wanted)
    latest = max((one.after_s or 0.0 for one in found), default=None)
    figures = {"cases": len(wanted), "good": len(good), "latest_s": latest}
    goal = f"healed, reported, exit 1, within {AIM_S:g} s, nothing left"
    print(f"written: {write_results(Results('signals', goal, met, figures, [asdict(one) for one in found]))}")
    print(f"signal test: {len(good)} of {len(wanted)} as they must be, the slowest ended after {latest} s")
    return 0 if met else code


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
