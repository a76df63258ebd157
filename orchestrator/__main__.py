"""Command line: `orchestrator plan | gate | once | judge | explain | heal | abort | note | flaws | sandbox`."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from orchestrator.errors import OrchestratorError, RefusedError
from steady_state.recording import RecordingError


def main(arguments: list[str] | None = None) -> int:
    """Exit codes: those of each command's help; 2 for a wrong command line."""
    given = sys.argv[1:] if arguments is None else arguments
    # Its options are the sandbox's own business, `--help` too.
    if given[:1] == ["sandbox"]:
        return _sandbox(given[1:])
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
    _add_running(commands)
    _add_judging(commands)
    _add_sandbox(commands)
    return parser


Commands = argparse._SubParsersAction


def _add_running(commands: Commands[argparse.ArgumentParser]) -> None:
    gating = commands.add_parser(
        "gate", help="run an experiment for CI: exit 0 PASS, 1 FAIL, 2 INCONCLUSIVE, 3 refused before start, 4 our own error"
    )
    gating.add_argument("experiment", type=Path)
    gating.set_defaults(run=_gate)
    once = commands.add_parser(
        "once", help="gate, but one run for this folder: started again, it heals and reports the run that is here and injects nothing"
    )
    once.add_argument("experiment", type=Path)
    once.set_defaults(run=_once)
    planning = commands.add_parser(
        "plan", help="the dry run: what an experiment would hit and when, and whether it would be refused (exit 3); touches nothing"
    )
    planning.add_argument("experiment", type=Path)
    planning.set_defaults(run=_plan)
    aborting = commands.add_parser("abort", help="end a run that is going in another terminal; exit 0 when nothing is left behind, else 1")
    aborting.add_argument("run_directory", type=Path)
    aborting.add_argument("--reason", default="no reason given", help="kept in the report")
    aborting.set_defaults(run=_abort)
    noting = commands.add_parser("note", help="put words on the timeline of a run that is going, and into its report")
    noting.add_argument("run_directory", type=Path)
    noting.add_argument("text")
    noting.set_defaults(run=_note)
    healing = commands.add_parser(
        "heal",
        help="take away what runs left behind, by ./runs and by what is mirrored on CHAOS_TARGET; exit 0 when the target is clean, else 1",
    )
    healing.add_argument("run_directory", type=Path, nargs="?", help="default: every run in ./runs")
    healing.add_argument("--target", metavar="NAME", help="only what is on the target description of this name")
    healing.add_argument("--list", action="store_true", help="show what is open and touch nothing")
    healing.add_argument("--json", action="store_true", help="one JSON list on stdout")
    healing.set_defaults(run=_heal)


def _add_judging(commands: Commands[argparse.ArgumentParser]) -> None:
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


def _add_sandbox(commands: Commands[argparse.ArgumentParser]) -> None:
    flaws = commands.add_parser("flaws", help="the defects that can be planted in the sandbox, and the cell that each must turn")
    flaws.add_argument("--json", action="store_true")
    flaws.set_defaults(run=lambda options: _sandbox(["flaws", *(["--json"] if options.json else [])]))
    commands.add_parser("sandbox", help="up | status | env | down ...: the Media Gateway in small, on this machine")


# Each command imports what it needs: the guardian's heal must not wait for the libraries of a report.


def _gate(options: argparse.Namespace) -> int:
    from orchestrator import gate

    return gate.run(options.experiment)


def _once(options: argparse.Namespace) -> int:
    from orchestrator import once_command

    return once_command.run(options.experiment)


def _plan(options: argparse.Namespace) -> int:
    from orchestrator import plan_command

    return plan_command.run(options.experiment)


def _abort(options: argparse.Namespace) -> int:
    from orchestrator import operator_commands

    return operator_commands.abort(options.run_directory, options.reason)


def _note(options: argparse.Namespace) -> int:
    from orchestrator import operator_commands

    return operator_commands.note(options.run_directory, options.text)


def _heal(options: argparse.Namespace) -> int:
    from orchestrator import heal_command

    return heal_command.run(options.run_directory, target=options.target, look_only=options.list, as_json=options.json)


def _judge(options: argparse.Namespace) -> int:
    from orchestrator import judge_command

    return judge_command.run(options.run_directory, check=options.check)


def _explain(options: argparse.Namespace) -> int:
    from orchestrator.explain import screens

    # It only reads, so `| head` may end it as it ends any such command.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    text = screens(options.run_directory, options.cell)
    try:
        print(text, flush=True)
    except OSError as error:
        raise RefusedError(f"nothing can be printed: {error.strerror}") from error
    return 0


def _sandbox(arguments: list[str]) -> int:
    from orchestrator.sandbox_process import sandbox_command

    return sandbox_command(arguments)


if __name__ == "__main__":
    sys.exit(main())
