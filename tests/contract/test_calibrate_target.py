"""The scripted target of the calibration, asked over its socket: each action is what a client of the platform would see."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from accuracy.calibrate.process import ScriptedTarget
from accuracy.calibrate.timetable import BreakerStep, Phase, Script
from orchestrator.errors import HarnessError
from probes.clock import SystemClock

ACTIONS = ("error", "reset", "eof", "hang", "slow", "fallback", "stale")
LONG_AGO_S = 1000.0
CLOCK = SystemClock()


def script() -> Script:
    """From second 10 to 2000 each route meets its action; the breaker is half-open from second 20 on."""
    routes = {action: [Phase(start_s=10.0, end_s=2000.0, action=action)] for action in ACTIONS}
    steps = [BreakerStep(at_s=15.0, state="open"), BreakerStep(at_s=20.0, state="half_open")]
    return Script(routes={**routes, "steady": []}, breakers={"breaker": steps})


@pytest.fixture
async def target() -> AsyncIterator[ScriptedTarget]:
    target = await ScriptedTarget.start(script())
    try:
        yield target
    finally:
        await target.kill()


async def ask(target: ScriptedTarget, path: str, *, within_s: float = 5.0) -> bytes:
    """All that comes back on a connection of its own until it ends or a whole answer is there."""
    port = int(target.url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: target\r\n\r\n".encode())
        async with asyncio.timeout(within_s):
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
            return head + await reader.readexactly(length)
    finally:
        writer.close()


async def begun_at(target: ScriptedTarget, ago_s: float) -> None:
    """Minute 0 was so long ago; returns when the target has heard it."""
    await target.begin(CLOCK.now() - ago_s)
    async with asyncio.timeout(5.0):
        while b"half_open" not in await ask(target, "/breakers/breaker/health"):
            await asyncio.sleep(0.01)


async def test_before_minute_0_everything_is_served(target: ScriptedTarget) -> None:
    for route in (*ACTIONS, "steady"):
        answer = await ask(target, f"/routes/{route}/load-{route}-1f-0")
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert answer.endswith(f'{{"id":"load-{route}-1f-0"}}'.encode())
    assert b'"closed","changes":0' in await ask(target, "/breakers/breaker/health")


async def test_each_action_is_seen_as_what_it_is(target: ScriptedTarget) -> None:
    await begun_at(target, LONG_AGO_S)
    assert (await ask(target, "/routes/error/load-error-1f-1")).startswith(b"HTTP/1.1 503 ")
    with pytest.raises(ConnectionResetError):
        await ask(target, "/routes/reset/load-reset-1f-1")
    with pytest.raises(asyncio.IncompleteReadError):
        await ask(target, "/routes/eof/load-eof-1f-1")
    with pytest.raises(TimeoutError):
        await ask(target, "/routes/hang/load-hang-1f-1", within_s=0.5)
    before = CLOCK.now()
    assert (await ask(target, "/routes/slow/load-slow-1f-1")).startswith(b"HTTP/1.1 200 ")
    assert CLOCK.now() - before >= 0.3
    assert b"\r\nX-Degraded: last-known\r\nAge: 30\r\n" in await ask(target, "/routes/fallback/load-fallback-1f-1")
    assert b"\r\nX-Degraded: last-known\r\nAge: 3600\r\n" in await ask(target, "/routes/stale/load-stale-1f-1")
    assert b"Degraded" not in await ask(target, "/routes/steady/load-steady-1f-1")


async def test_the_breaker_is_told_as_a_document_and_as_a_metric(target: ScriptedTarget) -> None:
    await begun_at(target, LONG_AGO_S)
    assert (await ask(target, "/breakers/breaker/health")).endswith(b'{"breaker":{"state":"half_open","changes":2}}')
    # Clients that know a page by its base URL end it with a slash.
    assert (await ask(target, "/breakers/breaker/metric/")).endswith(b'breaker_state{name="breaker"} 1\n')


async def test_the_ledger_says_what_was_done_to_which_request(target: ScriptedTarget) -> None:
    await ask(target, "/routes/error/load-error-1f-0")
    await begun_at(target, LONG_AGO_S)
    for number in (1, 2, 5):
        await ask(target, f"/routes/error/load-error-1f-{number}")
    await ask(target, "/routes/error/outside-error-1f-3")
    await ask(target, "/routes/stale/load-stale-1f-9")
    ledger = await target.finish()
    assert ledger.numbers("error", {"error"}) == {1, 2, 5}
    assert ledger.numbers("stale", {"error", "stale"}) == {9}
    assert ledger.numbers("steady", {"error"}) == set()


async def test_a_target_that_was_killed_has_no_ledger(target: ScriptedTarget) -> None:
    await target.kill()
    with pytest.raises(HarnessError, match="without its ledger"):
        await target.finish()
