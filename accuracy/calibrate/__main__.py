"""`python -m accuracy.calibrate`: measure cases of known truth, print every error, and exit 0 only when the goal is met."""

from __future__ import annotations

import argparse
import secrets
import sys
from collections.abc import Sequence
from dataclasses import replace

from accuracy.calibrate.cases import Case, all_cases
from accuracy.calibrate.comparing import GOAL, Row, figures, met, summary
from accuracy.calibrate.judging import judge_case
from accuracy.calibrate.measuring import Attempt, measure_now
from accuracy.calibrate.printing import listing, table
from accuracy.results import Results, write_results
from orchestrator.errors import OrchestratorError
from probes.clock import Clock, SystemClock

EXIT_NOT_MET, EXIT_ERROR = 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit codes: 0 the goal is met, 1 it is not, 2 nothing could be measured."""
    options = _parser().parse_args(arguments)
    cases = _chosen(options.only)
    if options.list:
        print(listing(cases))
        return 0
    try:
        rows = calibrate(cases, SystemClock())
    except OrchestratorError as error:
        print(f"calibration could not be run: {error}", file=sys.stderr)
        return EXIT_ERROR
    print(table(rows))
    path = write_results(
        Results("calibrate", GOAL, met(rows), figures(rows), [row.document() for row in rows]),
    )
    print(f"rows: {path}")
    print(summary(rows))
    return 0 if met(rows) else EXIT_NOT_MET


def calibrate(cases: Sequence[Case], clock: Clock) -> list[Row]:
    """Measure all cases; those that the machine spoiled once more, by themselves."""
    rows = _measured(cases, clock)
    spoiled = {row.case for row in rows if row.spoiled}
    if not spoiled:
        return rows
    reasons = {row.case: row.spoiled for row in reversed(rows) if row.spoiled}
    print("\n".join(f"{name} is inconclusive and is repeated: {reason}" for name, reason in sorted(reasons.items())), flush=True)
    again = _measured([case for case in cases if case.name in spoiled], clock)
    return [row for row in rows if row.case not in spoiled] + [replace(row, repeated=True) for row in again]


def _measured(cases: Sequence[Case], clock: Clock) -> list[Row]:
    seed = secrets.randbits(32)
    lasts_s = max(case.end_s for case in cases)
    print(f"{len(cases)} cases side by side for {lasts_s:.0f} s and about 30 s around them, seed {seed}", flush=True)
    measured = measure_now(Attempt(cases, seed), clock)
    return [row for case in cases for row in judge_case(measured, case)]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m accuracy.calibrate", description=__doc__)
    parser.add_argument("--only", nargs="+", default=[], metavar="CASE", help="measure these cases only")
    parser.add_argument("--list", action="store_true", help="print the cases and their truth, measure nothing")
    return parser


def _chosen(names: Sequence[str]) -> list[Case]:
    """The named cases, or all. Ends the program where a name is not known."""
    cases = {case.name: case for case in all_cases()}
    unknown = sorted(set(names) - set(cases))
    if unknown:
        _parser().error(f"no case is called {unknown[0]!r}; --list names them all")
    return [cases[name] for name in cases if not names or name in names]


if __name__ == "__main__":
    sys.exit(main())
