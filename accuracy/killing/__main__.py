"""Command line of the kill test: `python -m accuracy.killing [--kills N]`."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict

from accuracy.arguments import at_least_one
from accuracy.interrupting import INTERRUPTED, end_as_by_ctrl_c
from accuracy.killing.kill import Killed, kill
from accuracy.killing.moments import moments
from accuracy.results import Results, write_results
from accuracy.sandbox import DetachedSandbox, SandboxTrouble
from accuracy.trials import tried

KILLS = 60
AIM_S = 2.0
"""Source: issue "nothing is left behind": clean within 2 s of the death on the sandbox."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0 the target was clean after every kill; 1 it was not, or no sandbox can be had; 130 interrupted."""
    parser = argparse.ArgumentParser(prog="python -m accuracy.killing", description="Kill runs with SIGKILL at moments of their lives.")
    parser.add_argument("--kills", type=at_least_one, default=KILLS, metavar="N", help=f"default: {KILLS} (half a minute each)")
    options = parser.parse_args(arguments)
    found: list[Killed] = []
    code = 1
    end_as_by_ctrl_c()
    try:
        with DetachedSandbox.up(f"kill-{os.getpid()}") as sandbox:
            asyncio.run(tried(moments(options.kills), sandbox, kill, found))
    except SandboxTrouble as error:
        print(f"killing: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        code = INTERRUPTED
    print(f"written: {write_results(_results(found, options.kills))}")
    print(_figure(found, options.kills))
    return 0 if _met(found, options.kills) else code


def _met(found: Sequence[Killed], planned: int) -> bool:
    return len(found) == planned and all(one.good for one in found)


def _figure(found: Sequence[Killed], planned: int) -> str:
    clean = [one.clean_after_s for one in found if one.good and one.clean_after_s is not None]
    longest = f"at the latest after {max(clean):.2f} s, {sum(one <= AIM_S for one in clean)} within {AIM_S:g} s" if clean else ""
    return f"kill test: clean after {len(clean)} of {planned} kills, {longest}".rstrip(", ")


def _results(found: Sequence[Killed], planned: int) -> Results:
    clean = [one.clean_after_s for one in found if one.good and one.clean_after_s is not None]
    figures = {
        "kills": planned,
        "clean": len(clean),
        "latest_s": max(clean, default=None),
        "within_aim": sum(one <= AIM_S for one in clean),
    }
    goal = f"the target is clean after every kill (aim: within {AIM_S:g} s)"
    return Results("killing", goal, _met(found, planned), figures, [asdict(one) for one in found])


if __name__ == "__main__":
    sys.exit(main())
