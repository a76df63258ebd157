"""Command line of the flaw matrix: `python -m accuracy.matrix [--only NAME ...] [--subset ci] [--list] [--repeat N]`."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from accuracy import sandbox
from accuracy.arguments import at_least_one
from accuracy.interrupting import INTERRUPTED
from accuracy.matrix.bench import Bench
from accuracy.matrix.course import Course
from accuracy.matrix.outcome import Outcome, Summary, as_results
from accuracy.matrix.rows import Row, UnknownRowError, chosen, flaw_row
from accuracy.matrix.sabotages import CONTROLS, SABOTAGES
from accuracy.matrix.subset import CI
from accuracy.matrix.table import show
from accuracy.results import write_results

LOG_WIDTH = 150


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0 the goal is met; 1 it is not, or no sandbox can be had; 2 the command line is wrong; 130 interrupted."""
    options = _parser().parse_args(arguments)
    try:
        rows = _rows(options)
    except (UnknownRowError, sandbox.SandboxTrouble) as error:
        print(f"matrix: {error}", file=sys.stderr)
        return 2 if isinstance(error, UnknownRowError) else 1
    if options.list:
        for row in rows:
            print(f"{row.name} ({row.kind}): {row.summary}; {f'{row.cell} must be {row.expected}' if row.cell else 'nothing may turn'}")
        return 0
    return _measure(rows * options.repeat, whole=not options.only and options.subset is None)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m accuracy.matrix", description="Plant each flaw, do each sabotage, see what turns.")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="these rows only")
    parser.add_argument("--subset", choices=["ci"], help="a few quick rows of different kinds")
    parser.add_argument("--list", action="store_true", help="name the rows and end")
    parser.add_argument("--repeat", type=at_least_one, default=1, metavar="N", help="all rows N times over")
    return parser


def _rows(options: argparse.Namespace) -> list[Row]:
    known = [*map(flaw_row, sandbox.flaws()), *SABOTAGES, *CONTROLS]
    return chosen(known, [*options.only, *(CI if options.subset else ())])


def _measure(rows: list[Row], *, whole: bool) -> int:
    outcomes: list[Outcome] = []
    interrupted, code = False, 1
    folder = Path(tempfile.mkdtemp(prefix="chaos-matrix-"))
    try:
        asyncio.run(_course(rows, folder, outcomes))
    except sandbox.SandboxTrouble as error:
        print(f"matrix: {error}", file=sys.stderr)
        interrupted = True
    except (KeyboardInterrupt, asyncio.CancelledError):
        interrupted, code = True, INTERRUPTED
    # What a row left there explains it; nothing is left where all was as declared.
    with contextlib.suppress(OSError):
        folder.rmdir()
    summary = Summary(outcomes, planned=len(rows), interrupted=interrupted)
    print(f"written: {write_results(as_results(summary, whole=whole))}")
    # A log file has no width of its own, and eight columns need one.
    show(summary, Console(soft_wrap=True, width=None if sys.stdout.isatty() else LOG_WIDTH))
    return 0 if summary.met else code


async def _course(rows: list[Row], folder: Path, outcomes: list[Outcome]) -> None:
    """All rows. SIGTERM and SIGHUP end it as Ctrl-C does: the run under way heals, the sandbox is taken down."""
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    with Bench.ready(f"matrix-{os.getpid()}", _say) as bench:
        await Course(rows, bench, folder, _say, outcomes).run()


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
