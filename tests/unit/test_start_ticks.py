"""A process is told from a later one of its number, and one that has ended from one that runs."""

import os
import subprocess
import sys

from sandbox.process import start_ticks


def test_a_process_that_runs_keeps_its_start() -> None:
    first = start_ticks(os.getpid())
    assert first is not None
    assert start_ticks(os.getpid()) == first


def test_one_that_has_ended_is_gone_before_its_parent_has_looked() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert start_ticks(child.pid) is None
    assert start_ticks(child.pid) is None
