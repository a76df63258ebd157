"""Signals that end a run, in a process of their own: the first sets the latch, and none after it kills what is left to do."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

PROGRAM = """
import os, signal, sys, threading
from concurrent.futures import ThreadPoolExecutor
from orchestrator.abort import AbortLatch
from contextlib import nullcontext
from orchestrator.ending_signals import EndingSignals, held_back, leave_to_main_thread

ours = signal.Signals[sys.argv[1]]
with ThreadPoolExecutor(1) as pool:
    with held_back() if "held" in sys.argv else nullcontext():
        pool.submit(leave_to_main_thread if "left" in sys.argv else int).result()
    latch = AbortLatch()
    signals = EndingSignals(latch)
    signals.catch()
    if "heard" in sys.argv:
        os.kill(os.getpid(), ours)
        assert latch.wait(5.0) and latch.reason == f"signal {ours.name}", latch.reason
    signals.let_go()
    # As Chaos Toolkit leaves it.
    signal.signal(ours, signal.SIG_DFL)
    os.kill(os.getpid(), ours)
sys.exit(1)
"""


def code_of(*words: str) -> int:
    return subprocess.run([sys.executable, "-c", PROGRAM, *words], capture_output=True, check=False, timeout=60).returncode


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGUSR1", "SIGINT"])
def test_a_signal_after_the_end_does_not_change_how_it_ended(name: str) -> None:
    assert code_of(name, "heard", "left") == 1


def test_a_run_that_heard_none_is_killed_as_any_process() -> None:
    assert code_of("SIGTERM", "left") == -signal.SIGTERM


def test_a_thread_that_starts_while_signals_are_held_back_never_takes_one() -> None:
    assert code_of("SIGTERM", "heard", "held") == 1


def test_a_pool_thread_that_is_not_told_takes_the_signal() -> None:
    """Why every activity begins by leaving signals to the main thread."""
    assert code_of("SIGTERM", "heard") == -signal.SIGTERM
