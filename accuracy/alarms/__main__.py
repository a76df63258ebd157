"""Command line of the false alarms: `python -m accuracy.alarms [--runs N] [--placebos 60] [--seed S] [--judge-only DIR ...]`."""

from __future__ import annotations

import argparse
import os
import secrets
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from accuracy.alarms.counting import Summary, as_results
from accuracy.alarms.looking import Look
from accuracy.alarms.measuring import RunError, experiments, recorded, run_once
from accuracy.alarms.placebos import Placebos, looks_at
from accuracy.alarms.printing import words
from accuracy.arguments import at_least_one
from accuracy.interrupting import INTERRUPTED, end_as_by_ctrl_c
from accuracy.results import write_results
from accuracy.sandbox import DetachedSandbox, SandboxTrouble
from orchestrator.errors import OrchestratorError
from steady_state.placebo import NoRoomError
from steady_state.recording import RecordingError
from steady_state.verdict import Verdict

RUNS = Path("runs/aa")


@dataclass(slots=True)
class Measured:
    """What was judged so far, and what could not be."""

    looks: list[Look] = field(default_factory=list)
    trouble: list[str] = field(default_factory=list)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0 the goal is met; 1 it is not; 2 the command line is wrong; 130 interrupted, with what was measured written."""
    options = _parser().parse_args(arguments)
    placebos = Placebos(options.placebos, options.seed)
    measured, code = Measured(), 1
    end_as_by_ctrl_c()
    try:
        if options.judge_only:
            _judge_all(options.judge_only, placebos, measured)
        else:
            _measure(options.runs, placebos, measured)
    except KeyboardInterrupt:
        measured.trouble.append("interrupted")
        code = INTERRUPTED
    except (SandboxTrouble, RunError) as error:
        measured.trouble.append(str(error))
    summary = Summary(measured.looks, None if options.judge_only else options.runs, measured.trouble)
    print(f"written: {write_results(as_results(summary, options.seed))}")
    print(words(summary))
    return 0 if summary.met else code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m accuracy.alarms",
        description="Count false alarms: runs without faults judged under placebos, and healthy runs with all faults.",
    )
    parser.add_argument(
        "--runs", type=at_least_one, default=10, metavar="N", help="runs without faults, and as many with them (default 10)"
    )
    parser.add_argument(
        "--placebos", type=at_least_one, default=60, metavar="N", help="placebo timelines for each run without faults (default 60)"
    )
    parser.add_argument("--seed", type=int, default=secrets.randbits(32), metavar="S", help="of all placebos (default: a new one)")
    parser.add_argument("--judge-only", type=Path, nargs="+", metavar="DIR", help="judge the runs in or under these folders, run nothing")
    return parser


def _measure(runs: int, placebos: Placebos, measured: Measured) -> None:
    """All runs on one sandbox. A run that left no recording is named, and the next one begins."""
    wanted = experiments(runs)
    kept = RUNS / datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    _say(f"{len(wanted)} runs of about 4.5 minutes, kept in {kept}; seed {placebos.seed}; starting the sandbox")
    with DetachedSandbox.up(f"aa-{os.getpid()}") as sandbox:
        for place, (name, experiment) in enumerate(wanted, 1):
            _say(f"{place} of {len(wanted)}: {name}")
            _attempt(lambda name=name, path=experiment: looks_at(run_once(sandbox, path, kept / name), placebos), name, measured)  # type: ignore[misc]


def _judge_all(folders: Iterable[Path], placebos: Placebos, measured: Measured) -> None:
    """Recordings that are there. Raises RunError for a folder without one."""
    for directory in recorded(list(folders)):
        _attempt(lambda directory=directory: looks_at(directory, placebos), directory.name, measured)  # type: ignore[misc]


def _attempt(judged: Callable[[], list[Look]], name: str, measured: Measured) -> None:
    try:
        looks = judged()
    except (RunError, OrchestratorError, RecordingError, NoRoomError) as error:
        measured.trouble.append(f"{name}: {error}")
        _say(f"  {name}: {error}")
        return
    measured.looks += looks
    failed, undecided = (sum(look.cells.get(verdict, 0) for look in looks) for verdict in (Verdict.FAIL, Verdict.INCONCLUSIVE))
    _say(f"  {name}: {sum(sum(look.cells.values()) for look in looks)} cells, {failed} FAIL, {undecided} INCONCLUSIVE")


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
