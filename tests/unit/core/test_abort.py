"""The abort latch: set once from anywhere, a signal handler in the middle of a wait included."""

from __future__ import annotations

import asyncio
import signal
import threading
import time

from orchestrator.abort import AbortLatch

DEADLINE_S = 5.0


def test_the_first_reason_stays() -> None:
    latch = AbortLatch()
    assert not latch.is_set()
    latch.set("first")
    latch.set("second")
    assert latch.is_set()
    assert latch.reason == "first"


def test_a_waiting_thread_wakes() -> None:
    latch = AbortLatch()
    threading.Timer(0.02, latch.set, ["now"]).start()
    deadline = time.monotonic() + DEADLINE_S
    while not latch.wait(DEADLINE_S):
        assert time.monotonic() < deadline
    assert latch.wait(DEADLINE_S)


def test_a_wait_ends_without_an_abort() -> None:
    assert not AbortLatch().wait(0.01)


async def test_it_is_an_event_of_a_loop_set_before_or_after() -> None:
    latch = AbortLatch()
    early = latch.as_event(asyncio.get_running_loop())
    assert not early.is_set()
    await asyncio.to_thread(latch.set, "now")
    await asyncio.wait_for(early.wait(), DEADLINE_S)
    assert latch.as_event(asyncio.get_running_loop()).is_set()


def test_the_handler_of_the_thread_that_waits_can_set_it() -> None:
    """With a plain lock inside, a handler that lands in the wait itself would lock up for ever."""
    for _ in range(50):
        latch = AbortLatch()
        previous = signal.signal(signal.SIGALRM, lambda _number, _frame, latch=latch: latch.set("signal"))
        signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
        try:
            deadline = time.monotonic() + DEADLINE_S
            while not latch.wait(0.001):
                assert time.monotonic() < deadline
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, previous)
        assert latch.reason == "signal"
