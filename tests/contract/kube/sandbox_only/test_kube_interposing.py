"""Services of the sandbox's cluster led through its Toxiproxy and back: Valkey, PostgreSQL and Qdrant, by real connections."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any, cast

import pytest
from interposing_rig import (
    CLOCK,
    DELAY_MS,
    NAMES,
    REPLICA,
    Place,
    application,
    held,
    opened,
    replica_stage,
    running_place,
    stage_of,
    took_s,
    toxic,
)

from orchestrator.errors import HealFailed, RefusedError, TargetError
from orchestrator.faults.base import Receipt, Surroundings
from orchestrator.faults.link_latency import LinkLatency, Settings
from orchestrator.faults.replica_failure import ReplicaFailure
from orchestrator.faults.replica_failure import Settings as FreezeSettings
from orchestrator.interposing import interposition as interposition_module
from orchestrator.interposing import passage as passage_module
from orchestrator.interposing.interposition import Interposition
from orchestrator.interposing.links import links_of
from orchestrator.plan import Plan, PlannedFault
from orchestrator.targets.services import ServiceClient
from probes.clients.connections import Connection


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    yield from running_place()


@pytest.mark.parametrize("name", NAMES)
async def test_new_connections_pass_the_proxy_old_ones_do_not_and_the_way_back_is_exact(place: Place, name: str, tmp_path: Path) -> None:
    stage = stage_of(place, name, tmp_path)
    before, _, _ = await stage.left()
    assert before is not None
    async with held(place, name) as old, AsyncExitStack() as later:
        await old()
        async with application(place, name):
            await stage.preparation.begin([stage.link])
            new = await later.enter_async_context(held(place, name))
            await new()
            await stage.preparation.prove()
        if name != "qdrant":
            assert "1 of" in stage.said[-1], stage.said
            assert "do not pass it" in stage.said[-1]
        else:
            assert "unknown" in stage.said[-1]
        healthy_s = await took_s(new)
        await toxic(stage, there=True)
        assert await took_s(new) >= healthy_s + 0.9 * DELAY_MS / 1000
        assert await took_s(old) < DELAY_MS / 1000
        await toxic(stage, there=False)
        await stage.heal_as_another_process()
        assert await stage.preparation.end() is None
        await old()
    after, upstream, proxy = await stage.left()
    assert after is not None
    assert (after.selector, after.ports, upstream, proxy) == (before.selector, before.ports, None, False)
    async with held(place, name) as again:
        await again()


async def test_connections_that_are_over_before_they_are_listed_are_proven_by_the_proxys_bytes(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also how they are counted for a fault: by the application, as long as nobody is listed who goes past."""
    listed: list[Connection] = []

    async def shown(_peers: object) -> list[Connection]:
        return listed

    monkeypatch.setattr(passage_module, "_connections", shown)
    stage = stage_of(place, "redis", tmp_path, peers={"kind": "redis", "url": "redis://the-pod-itself/0"})
    async with application(place, "redis"):
        await stage.preparation.begin([stage.link])
        await stage.preparation.prove()
    assert "bytes of its own; 0 of 0 open connections do not pass it (CLIENT LIST)" in stage.said[-1], stage.said
    fault = LinkLatency(
        Surroundings("late", "run-1", stage.description, stage.role, CLOCK), Settings(role="x", hold_s=10, delay_ms=DELAY_MS)
    )
    calls = iter((1000, 1007, 1009))

    async def counted() -> int:
        return next(calls)

    monkeypatch.setattr(fault._link, "_counted", counted)
    receipt = await fault.prepare(Random(1))
    exposure = await fault.exposure(receipt)
    assert (exposure.count, "no connection goes past proxy redis" in exposure.source) == (7, True)
    listed.append(Connection("1", "192.0.2.1", 0.0))
    exposure = await fault.exposure(receipt)
    assert (exposure.count, "1 others do not pass it" in exposure.source) == (0, True)
    await fault.close()
    assert await stage.preparation.end() is None


class Killed(BaseException):
    """The process is no more: no handler runs."""


@pytest.mark.parametrize("call", ["create", "ready_addresses", "read", "patch"])
@pytest.mark.parametrize("done", [False, True], ids=["before", "after"])
async def test_a_run_that_is_killed_anywhere_leaves_what_a_receipt_takes_back(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, done: bool
) -> None:
    """The process ends just before, or just after, one of its calls: another one heals with the ledger alone."""
    stage = stage_of(place, "redis", tmp_path)
    before, _, _ = await stage.left()
    one = Interposition(stage.link, stage.description, CLOCK)
    seen = await one.look()
    stage.ledger.open(one.receipt(seen, "run-1"))
    real = getattr(ServiceClient, call)

    async def ends(self: ServiceClient, *arguments: Any, **named: Any) -> None:
        if done:
            await real(self, *arguments, **named)
        raise Killed

    monkeypatch.setattr(ServiceClient, call, ends)
    with pytest.raises(Killed):
        await one.lead(seen, "run-1")
    monkeypatch.undo()
    await one.close()
    for _ in range(2):
        receipts = stage.ledger.open_receipts()
        await stage.heal_as_another_process()
        for receipt in receipts:
            stage.ledger.open(receipt)
    after, upstream, proxy = await stage.left()
    assert before is not None
    assert after is not None
    assert (after.selector, after.ports, upstream, proxy) == (before.selector, before.ports, None, False)


async def test_a_switch_that_lands_after_the_way_back_changes_nothing(place: Place, tmp_path: Path) -> None:
    stage = stage_of(place, "redis", tmp_path)
    one = Interposition(stage.link, stage.description, CLOCK)
    seen = await one.look()
    stage.ledger.open(one.receipt(seen, "run-1"))
    await stage.heal_as_another_process()
    services = ServiceClient(stage.description.cluster)
    with pytest.raises(TargetError):
        await services.patch("redis", seen.switch.there(seen.service.version))
    services.close()
    await one.close()
    after, _, _ = await stage.left()
    assert after is not None
    assert after.selector == {"app": "redis"}


async def test_what_somebody_else_changed_meanwhile_is_not_trampled(place: Place, tmp_path: Path) -> None:
    stage = stage_of(place, "redis", tmp_path)
    await stage.preparation.begin([stage.link])
    services = ServiceClient(stage.description.cluster)
    await services.patch("redis", {"spec": {"selector": {"app": "redis", "shard": "7"}}})
    failed = await stage.preparation.end()
    assert isinstance(failed, HealFailed)
    assert "changed by somebody else" in failed.what
    assert "patch service redis --type=json" in failed.remedy
    assert stage.said[-1] == str(failed)
    shown, upstream, proxy = await stage.left()
    assert shown is not None
    assert (shown.selector, upstream is None, proxy) == ({"app": "redis", "shard": "7"}, False, True)
    # The command for a person does what it says.
    place.kubectl(*_words(failed.remedy))
    shown, _, _ = await stage.left()
    assert shown is not None
    assert (shown.selector, shown.targets) == ({"app": "redis"}, ["http"])
    assert await stage.preparation.end() is None
    services.close()


def _words(remedy: str) -> list[str]:
    words = shlex.split(remedy.partition(" && ")[0])
    return words[3:]


async def test_a_json_patch_that_does_not_come_through_is_followed_by_another_way(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = stage_of(place, "redis", tmp_path)
    before, _, _ = await stage.left()
    await stage.preparation.begin([stage.link])
    real = ServiceClient.patch

    async def no_lists(self: ServiceClient, name: str, change: Any) -> None:
        if isinstance(change, list):
            raise TargetError("415")
        await real(self, name, change)

    monkeypatch.setattr(ServiceClient, "patch", no_lists)
    assert await stage.preparation.end() is None
    after, upstream, proxy = await stage.left()
    assert before is not None
    assert after is not None
    assert (after.selector, after.ports, upstream, proxy) == (before.selector, before.ports, None, False)


async def test_without_traffic_of_the_application_the_run_is_refused_by_name(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interposition_module, "PROVEN_WITHIN_S", 1.0)
    stage = stage_of(place, "redis", tmp_path)
    async with held(place, "redis") as old:
        await old()
        await stage.preparation.begin([stage.link])
        with pytest.raises(
            RefusedError, match="nothing of the application passed proxy redis within 1 s: 1 connections do not come from it"
        ):
            await stage.preparation.prove()
        assert await stage.preparation.end() is None


async def test_a_second_interposition_is_refused_and_names_the_first(place: Place, tmp_path: Path) -> None:
    stage = stage_of(place, "redis", tmp_path)
    await stage.preparation.begin([stage.link])
    (tmp_path / "other").mkdir()
    other = stage_of(place, "redis", tmp_path / "other")
    with pytest.raises(RefusedError, match=r"interposed already .* by run run-1; when that is over: orchestrator heal runs/run-1"):
        await other.preparation.begin([other.link])
    assert await other.preparation.end() is None
    shown, upstream, proxy = await stage.left()
    assert shown is not None
    assert (shown.selector, upstream is None, proxy) == ({"app": "toxiproxy"}, False, True)
    assert await stage.preparation.end() is None


REFUSALS = {
    "no Service nowhere": {"service": "nowhere"},
    "has no port 1": {"port": "1", "other_ports": {"http": 1}},
    "0 pods match app=nobody": {"proxy_selector": {"app": "nobody"}},
    "leads to the pod redis-0 of Toxiproxy already": {"proxy_selector": {"app": "redis"}},
}


@pytest.mark.parametrize("reason", REFUSALS)
async def test_what_cannot_be_interposed_is_refused_by_name(place: Place, tmp_path: Path, reason: str) -> None:
    stage = stage_of(place, "redis", tmp_path, **REFUSALS[reason])
    with pytest.raises(RefusedError, match=reason):
        await stage.preparation.begin([stage.link])
    assert stage.ledger.open_receipts() == []
    assert await stage.preparation.end() is None


async def test_a_link_fault_counts_at_the_proxy_and_is_felt_through_it(place: Place, tmp_path: Path) -> None:
    """Old connections go on working past the proxy, and are no exposure."""
    stage = stage_of(place, "redis", tmp_path)
    async with held(place, "redis") as old:
        await old()
        await stage.preparation.begin([stage.link])
        fault = LinkLatency(
            Surroundings("late", "run-1", stage.description, stage.role, CLOCK), Settings(role="x", hold_s=10, delay_ms=DELAY_MS)
        )
        # What the application counts: its old connection and all.
        fault._link._counted = _many
        receipt = Receipt.model_validate_json((await fault.prepare(Random(1))).model_dump_json())
        await old()
        exposure = await fault.exposure(receipt)
        assert (exposure.count, "1 others do not pass it" in exposure.source) == (0, True)
        async with held(place, "redis") as new:
            await new()
            assert (await fault.exposure(receipt)).count == 1
        await fault.inject(receipt)
        assert (await fault.prove(receipt)).grade == "felt"
        await fault.heal(receipt)
        await fault.close()
        assert await stage.preparation.end() is None


async def _many() -> int:
    return 1000


async def test_a_replica_behind_an_interposed_service_freezes_for_its_application(place: Place, tmp_path: Path) -> None:
    stage = replica_stage(place, tmp_path)
    role = stage.description.roles["x"]
    settings = FreezeSettings(role="x", hold_s=10, mode="freeze")
    planned = PlannedFault(name="freeze", kind="replica_failure", at_s=0, settings=settings)
    links = links_of(cast(Plan, SimpleNamespace(faults=(planned,))), stage.description)
    assert [link.name for link in links] == [f"x {REPLICA}"]
    before, _, _ = await stage.left()
    assert before is not None
    async with application(place, "postgres"):
        await stage.preparation.begin(links)
        await stage.preparation.prove()
    fault = ReplicaFailure(Surroundings("freeze", "run-1", stage.description, role, CLOCK), settings)
    receipt = Receipt.model_validate_json((await fault.prepare(Random(1))).model_dump_json())
    async with opened(place, "postgres") as ask:
        await ask()
        exposure = await fault.exposure(receipt)
        assert (exposure.count, "by pg_stat_activity" in exposure.source) == (1, True)
    assert (await fault.prove(receipt)).grade == "acknowledged"
    await fault.inject(receipt)
    assert (await fault.prove(receipt)).grade == "felt"
    await fault.heal(receipt)
    assert (await fault.prove(receipt)).grade == "acknowledged"
    await fault.close()
    assert await stage.preparation.end() is None
    after, upstream, proxy = await stage.left()
    assert after is not None
    assert (after.selector, after.ports, upstream, proxy) == (before.selector, before.ports, None, False)
