"""Command line of the outages of a run's own dependencies: `python -m accuracy.outages [--only NAME ...]`."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict

from accuracy.interrupting import INTERRUPTED, end_as_by_ctrl_c
from accuracy.outages.cases import cases
from accuracy.outages.dependencies import DEPENDENCIES
from accuracy.outages.outage import Ending, outage
from accuracy.results import Results, write_results
from accuracy.sandbox import DetachedSandbox, SandboxTrouble
from accuracy.trials import tried

GOAL = "the run ends by itself, names the dependency, is never PASS, and leaves nothing once the dependency is back"


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0 every run ended as it must; 1 one did not, or no sandbox can be had; 130 interrupted."""
    names = [one.name for one in DEPENDENCIES]
    parser = argparse.ArgumentParser(prog="python -m accuracy.outages", description="Take a run's own dependencies away from it.")
    parser.add_argument("--only", nargs="+", choices=names, default=[], metavar="NAME", help=f"of {', '.join(names)}")
    wanted = cases(frozenset(parser.parse_args(arguments).only))
    found: list[Ending] = []
    code = 1
    end_as_by_ctrl_c()
    try:
        with DetachedSandbox.up(f"outages-{os.getpid()}") as sandbox:
            asyncio.run(tried(wanted, sandbox, outage, found))
    except SandboxTrouble as error:
        print(f"outages: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        code = INTERRUPTED
    good = sum(one.good for one in found)
    met = good == len(wanted)
    latest_s = max((one.ended_s or 0.0 for one in found), default=None)
    figures = {"cases": len(wanted), "good": good, "latest_s": latest_s}
    print(f"written: {write_results(Results('outages', GOAL, met, figures, [asdict(one) for one in found]))}")
    print(f"outages: {good} of {len(wanted)} runs ended as they must, the longest after {latest_s} s")
    return 0 if met else code


if __name__ == "__main__":
    sys.exit(main())
