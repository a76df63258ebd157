"""Command line: `orchestrator gate | judge | explain | flaws | sandbox`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from orchestrator import gate
from orchestrator.errors import OrchestratorError, RefusedError
from orchestrator.explain import screens
from orchestrator.report import terminal
from orchestrator.report.pooled import pooled
from orchestrator.report.writing import judge_directory, report_text, write_reports
from orchestrator.run_directory import open_run_directory
from orchestrator.sandbox_process import sandbox_command
from steady_state.pooling import NotPoolableError, pool
from steady_state.recording import RecordingError
from steady_state.verdict import EXIT_CODES


def main(arguments: list[str] | None = None) -> int:
    """Exit codes: those of each command's help; 2 for a wrong command line."""
    given = sys.argv[1:] if arguments is None else arguments
    # Its options are the sandbox's own business, `--help` too.
    if given[:1] == ["sandbox"]:
        return sandbox_command(given[1:])
    options = _parser().parse_args(given)
    try:
        code: int = options.run(options)
    except (OrchestratorError, RecordingError) as error:
        print(f"orchestrator: {error}", file=sys.stderr)
        return 3
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="orchestrator",
        description="Chaos experiments with a verdict that can be believed. Run one with `chaos run experiments/full.json`.",
        epilog="Environment: CHAOS_TARGET (a description; default: a sandbox of its own), CHAOS_TIME_SCALE, CHAOS_LOAD_SCALE, CHAOS_FLAW, "
        "CHAOS_SEED (the number in an earlier run's report).",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    gating = commands.add_parser(
        "gate", help="run an experiment for CI: exit 0 PASS, 1 FAIL, 2 INCONCLUSIVE, 3 refused before start, 4 our own error"
    )
    gating.add_argument("experiment", type=Path)
    gating.set_defaults(run=lambda options: gate.run(options.experiment))
    judging = commands.add_parser(
        "judge", help="judge a recording again and write its reports; exit 0 PASS, 1 FAIL, 2 INCONCLUSIVE, 3 no recording"
    )
    judging.add_argument("run_directory", type=Path, nargs="+", help="two or more, of one plan, are pooled: nothing is written")
    judging.add_argument("--check", action="store_true", help="write nothing, compare with report.json; exit 1 when it differs")
    judging.set_defaults(run=_judge)
    explaining = commands.add_parser(
        "explain", help="each cell that is not PASS on one screen: what failed first, what was seen around it, what was our own doing"
    )
    explaining.add_argument("run_directory", type=Path)
    explaining.add_argument("--cell", metavar="FAULT/CRITERION", help="this cell alone, whatever its verdict")
    explaining.set_defaults(run=_explain)
    flaws = commands.add_parser("flaws", help="the defects that can be planted in the sandbox, and the cell that each must turn")
    flaws.add_argument("--json", action="store_true")
    flaws.set_defaults(run=lambda options: sandbox_command(["flaws", *(["--json"] if options.json else [])]))
    commands.add_parser("sandbox", help="up | status | env | down ...: the Media Gateway in small, on this machine")
    return parser


def _explain(options: argparse.Namespace) -> int:
    print(screens(options.run_directory, options.cell))
    return 0


def _judge(options: argparse.Namespace) -> int:
    if len(options.run_directory) > 1:
        return _pool(options)
    path = options.run_directory[0]
    directory = open_run_directory(path)
    if options.check:
        same = directory.report.is_file() and directory.report.read_text(encoding="utf-8") == report_text(judge_directory(directory))
        print(f"{directory.report}: {'the recording gives the same report' if same else 'the recording gives ANOTHER report'}")
        return 0 if same else 1
    report = write_reports(directory)
    print(terminal.grid(report))
    print(f"verdict={report['verdict']} exit={report['exit_code']} run={path}")
    return int(report["exit_code"])


def _pool(options: argparse.Namespace) -> int:
    """Several runs of one plan together; the exit code is that of the worst. Raises RefusedError when they are not of one plan."""
    if options.check:
        raise RefusedError("--check compares one run with its report.json; give it one run directory")
    try:
        found = pool([judge_directory(open_run_directory(path)) for path in options.run_directory])
    except NotPoolableError as error:
        raise RefusedError(str(error)) from error
    code = EXIT_CODES[found.verdict]
    print(pooled(found))
    print(f"verdict={found.verdict.value} exit={code} runs={len(found.runs)}")
    return code


if __name__ == "__main__":
    sys.exit(main())
