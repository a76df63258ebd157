"""Command line: `orchestrator gate | judge | flaws | sandbox`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from orchestrator import gate
from orchestrator.errors import OrchestratorError
from orchestrator.report import terminal
from orchestrator.report.writing import judge_directory, report_text, write_reports
from orchestrator.run_directory import open_run_directory
from orchestrator.sandbox_process import sandbox_command
from steady_state.recording import RecordingError


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
    judging.add_argument("run_directory", type=Path)
    judging.add_argument("--check", action="store_true", help="write nothing, compare with report.json; exit 1 when it differs")
    judging.set_defaults(run=_judge)
    flaws = commands.add_parser("flaws", help="the defects that can be planted in the sandbox, and the cell that each must turn")
    flaws.add_argument("--json", action="store_true")
    flaws.set_defaults(run=lambda options: sandbox_command(["flaws", *(["--json"] if options.json else [])]))
    commands.add_parser("sandbox", help="up | status | env | down ...: the Media Gateway in small, on this machine")
    return parser


def _judge(options: argparse.Namespace) -> int:
    directory = open_run_directory(options.run_directory)
    if options.check:
        same = directory.report.is_file() and directory.report.read_text(encoding="utf-8") == report_text(judge_directory(directory))
        print(f"{directory.report}: {'the recording gives the same report' if same else 'the recording gives ANOTHER report'}")
        return 0 if same else 1
    report = write_reports(directory)
    print(terminal.grid(report))
    print(f"verdict={report['verdict']} exit={report['exit_code']} run={options.run_directory}")
    return int(report["exit_code"])


if __name__ == "__main__":
    sys.exit(main())
