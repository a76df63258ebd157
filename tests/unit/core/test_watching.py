"""Samplers of a run: one that dies is named, so that the run can end instead of going on half blind."""

from __future__ import annotations

import asyncio

import pytest

from orchestrator.watching import Scene, Watching
from probes.clock import SystemClock
from probes.host import HostProbe
from probes.target import TargetDescription
from steady_state.observations import NoteLine, Observation

BARE = TargetDescription.model_validate(
    {
        "name": "bare",
        "gateway_url": "http://127.0.0.1:1",
        "content_id_format": "c{number}",
        "content_count": 1,
        "routes": {"a": {"method": "GET", "path": "/", "authenticated_ratio": 0, "maximum_ms": 100}},
        "roles": {},
    }
)


async def dies(*_: object) -> None:
    raise OSError("/proc is gone")


async def ends(*_: object) -> None:
    return


@pytest.mark.parametrize(("instead", "said"), [(dies, "sampler host died: OSError: /proc is gone"), (ends, "sampler host ended")])
async def test_a_sampler_that_stops_by_itself_is_named(monkeypatch: pytest.MonkeyPatch, instead: object, said: str) -> None:
    monkeypatch.setattr(HostProbe, "run", instead)
    lines: list[Observation] = []
    watching = Watching(Scene(BARE, SystemClock(), "run-1", ()))
    watching.start(lines.append)
    assert watching.lost == ""
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert watching.lost == said
    await watching.stop()
    (note,) = [line for line in lines if isinstance(line, NoteLine)]
    assert note.text.startswith("not looked at, the target description declares none: breakers, cache, calls")
