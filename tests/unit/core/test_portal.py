"""The portal into the run's loop: results, errors, time-outs, and an end that leaves nothing running."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator

import pytest

from orchestrator.portal import LoopThread


@pytest.fixture
def portal() -> Iterator[LoopThread]:
    portal = LoopThread()
    yield portal
    if not portal.loop.is_closed():
        portal.close()


async def where() -> str:
    return threading.current_thread().name


async def fails() -> None:
    raise KeyError("bug")


def test_work_is_done_in_the_loop_thread(portal: LoopThread) -> None:
    assert portal.call(where(), timeout_s=5) == "run-loop"
    assert portal.submit(where()).result(5) == "run-loop"


def test_errors_come_back_to_the_caller_and_the_loop_lives_on(portal: LoopThread) -> None:
    with pytest.raises(KeyError, match="bug"):
        portal.call(fails(), timeout_s=5)
    assert portal.call(where(), timeout_s=5) == "run-loop"


def test_work_that_takes_too_long_is_cancelled(portal: LoopThread) -> None:
    cancelled = threading.Event()

    async def slow() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    with pytest.raises(TimeoutError):
        portal.call(slow(), timeout_s=0.02)
    assert cancelled.wait(5)


def test_closing_cancels_what_runs_and_lets_it_clean_up(portal: LoopThread) -> None:
    started, cleaned = threading.Event(), threading.Event()

    async def running() -> None:
        try:
            started.set()
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.01)
            cleaned.set()

    future = portal.submit(running())
    assert started.wait(5)
    assert portal.close()
    assert cleaned.is_set()
    assert future.cancelled()
    assert portal.loop.is_closed()


def test_closing_an_idle_loop_ends_its_thread(portal: LoopThread) -> None:
    portal.close()
    assert portal.loop.is_closed()
    assert "run-loop" not in {thread.name for thread in threading.enumerate()}


def test_a_thread_that_hangs_is_told_of(portal: LoopThread, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever heals must know that it may still write."""
    hangs, on = threading.Event(), threading.Event()

    async def hanging() -> None:
        hangs.set()
        on.wait(10)

    portal.submit(hanging())
    assert hangs.wait(5)
    monkeypatch.setattr("orchestrator.portal.END_WITHIN_S", 0.05)
    assert not portal.close()
    on.set()
    deadline = time.monotonic() + 5
    while not portal.loop.is_closed():
        assert time.monotonic() < deadline
        time.sleep(0.001)
