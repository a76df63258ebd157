"""The guardian as a process: silent while the run lives, one heal after its end, and again while something is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from scripted_fault import receipt

from orchestrator.ledger import Ledger

HEALER = """
import json, pathlib, sys
run = pathlib.Path(sys.argv[2])
tries = run / "tries"
tries.write_text(tries.read_text() + "x" if tries.exists() else "x")
print("asked to", *sys.argv[1:])
if len(tries.read_text()) >= int((run / "succeeds-at").read_text()):
    with (run / "ledger.jsonl").open("a") as ledger:
        ledger.write(json.dumps({"event": "healed", "fault": "cut"}) + "\\n")
"""
"""Stands for `python -m orchestrator`: what it does is the business of other tests."""


@contextmanager
def guardian(folder: Path, tries: int) -> Iterator[subprocess.Popen[bytes]]:
    package = folder / "package" / "orchestrator"
    package.mkdir(parents=True)
    real = Path(__file__).resolve().parents[3] / "orchestrator"
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(HEALER)
    for name in ("guardian.py", "ledger_lines.py"):
        (package / name).write_text((real / name).read_text())
    process = subprocess.Popen(
        [sys.executable, "-m", "orchestrator.guardian", str(folder / "ledger.jsonl"), str(tries)],
        stdin=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(folder / "package")},
        cwd=folder / "package",
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdin is not None
        process.stdin.close()


def let_go(process: subprocess.Popen[bytes], goodbye: bytes = b"bye") -> int:
    assert process.stdin is not None
    if goodbye:
        process.stdin.write(goodbye)
    process.stdin.close()
    return process.wait(30)


def a_receipt(folder: Path, *, heals_at: int) -> None:
    Ledger(folder / "ledger.jsonl").open(receipt())
    (folder / "succeeds-at").write_text(str(heals_at))


def test_a_clean_run_needs_no_heal(tmp_path: Path) -> None:
    with guardian(tmp_path, 3) as process:
        assert let_go(process) == 0
    assert not (tmp_path / "guardian.log").exists()


def test_a_run_that_dies_without_a_receipt_is_looked_at_once_for_it_may_have_left_its_lease(tmp_path: Path) -> None:
    (tmp_path / "succeeds-at").write_text("9")
    with guardian(tmp_path, 3) as process:
        assert let_go(process, goodbye=b"") == 0
    assert (tmp_path / "tries").read_text() == "x"


def test_it_waits_for_the_end_of_the_run_and_then_heals_once(tmp_path: Path) -> None:
    with guardian(tmp_path, 3) as process:
        a_receipt(tmp_path, heals_at=1)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)
        assert not (tmp_path / "tries").exists()
        assert let_go(process) == 0
    assert (tmp_path / "tries").read_text() == "x"
    assert (tmp_path / "guardian.log").read_text() == f"asked to heal {tmp_path}\n"


def test_it_tries_again_while_something_is_left(tmp_path: Path) -> None:
    a_receipt(tmp_path, heals_at=3)
    with guardian(tmp_path, 5) as process:
        assert let_go(process) == 0
    assert (tmp_path / "tries").read_text() == "xxx"


def test_it_gives_up_after_its_tries_and_says_so(tmp_path: Path) -> None:
    a_receipt(tmp_path, heals_at=9)
    with guardian(tmp_path, 2) as process:
        assert let_go(process) == 1
    assert (tmp_path / "tries").read_text() == "xx"


def test_no_signal_but_kill_ends_it_and_it_is_small(tmp_path: Path) -> None:
    with guardian(tmp_path, 1) as process:
        deadline = time.monotonic() + 10
        while signal.SIGTERM not in _ignored(process.pid):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
            process.send_signal(number)
        assert psutil.Process(process.pid).memory_info().rss < 30e6
        assert process.poll() is None
        assert let_go(process) == 0


def _ignored(pid: int) -> set[int]:
    """Signals that a process ignores, by /proc/PID/status."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("SigIgn:"))
    mask = int(line.split()[1], 16)
    return {number for number in range(1, 65) if mask & 1 << number - 1}
