"""The gate for CI: `chaos run` with an exit code that tells five endings apart."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from orchestrator.experiment_file import read_experiment
from orchestrator.progress import announce
from orchestrator.session import Session
from steady_state.verdict import EXIT_CODES, Verdict

REFUSED, OUR_ERROR = 3, 4
FORWARDED = (signal.SIGINT, signal.SIGTERM)
_LAST_LINE = re.compile(r"verdict=(\w+) exit=\d+ run=(.*)")


def run(experiment: Path) -> int:
    """Run the experiment and return 0 PASS, 1 FAIL, 2 INCONCLUSIVE, 3 refused before start, 4 our own error."""
    _check(experiment)
    verdict, where = _chaos_run(experiment)
    code = _code(verdict)
    announce(f"verdict={verdict} exit={code} run={where}", to_stdout=True)
    return code


def _check(experiment: Path) -> None:
    """Refuse a wrong file before Chaos Toolkit starts. Raises PlanError or RefusedError."""
    Session(read_experiment(experiment), os.environ)


def _chaos_run(experiment: Path) -> tuple[str, str]:
    """Run `chaos run`, pass its output on, and hold back its last line for our own."""
    command = [sys.executable, "-m", "chaostoolkit", "--no-version-check", "run", str(experiment)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    # The child ends the run, we wait for it. A terminal's Ctrl-C reaches both: hearing it twice does no harm.
    handlers = {number: signal.signal(number, lambda given, _frame: child.send_signal(given)) for number in FORWARDED}
    found = None
    try:
        assert child.stdout is not None
        for line in child.stdout:
            match = _LAST_LINE.fullmatch(line.strip())
            if match:
                found = (match[1], match[2])
            else:
                announce(line.rstrip("\n"), to_stdout=True)
        child.wait()
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    # The control always has the last word, unless Chaos Toolkit refused the file before it came to that, or died.
    return found or ("REFUSED" if child.returncode == 1 else "ERROR", "none")


def _code(verdict: str) -> int:
    if verdict == "REFUSED":
        return REFUSED
    return EXIT_CODES[Verdict(verdict)] if verdict in list(Verdict) else OUR_ERROR
