"""The way back of a load in a cluster, against an API server that answers by a script: late Jobs, pods that stay, Jobs of others."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from scripted_server import Reply, ScriptedServer

from orchestrator.errors import HealFailed
from orchestrator.load_job import way_back as module
from orchestrator.load_job.way_back import LoadWayBack, receipt
from orchestrator.targets.services import OWNER
from probes.clock import SystemClock
from probes.target import Kubernetes

CLOCK = SystemClock()
RUN, OTHER = "20261128-120000-abcd", "20261128-120001-ef01"
ABSENT = Reply("absent", 404, b'{"message": "not found"}')
DONE = Reply("done", 200, b"{}")


def job(run: str, uid: str = "u1", *, going: bool = False) -> Reply:
    metadata: dict[str, Any] = {"labels": {OWNER: run}, "uid": uid} | ({"deletionTimestamp": "2026-11-28T12:00:00Z"} if going else {})
    return Reply("job", 200, json.dumps({"metadata": metadata}).encode())


def pods(*names: str, phase: str = "Running") -> Reply:
    annotations = {"batch.kubernetes.io/job-completion-index": "0"}
    items = [{"metadata": {"name": name, "annotations": annotations}, "status": {"phase": phase}} for name in names]
    return Reply("pods", 200, json.dumps({"items": items}).encode())


class Api:
    """`jobs` and `left` say what is there, by how often it was asked."""

    def __init__(self, jobs: Callable[[int], Reply], left: Callable[[int], Reply] = lambda _asked: pods()) -> None:
        self._jobs, self._left = jobs, left
        self._asked = {"jobs": 0, "pods": 0}
        self.server = ScriptedServer(self._answer)

    def _answer(self, head: bytes) -> Reply:
        method, path = head.split(b" ")[:2]
        if method == b"DELETE":
            return DONE
        what = "pods" if b"/pods" in path else "jobs"
        self._asked[what] += 1
        return (self._left if what == "pods" else self._jobs)(self._asked[what])

    @property
    def deleted(self) -> list[str]:
        """The uids that a DELETE was for."""
        bodies = [json.loads(one.body) for one in self.server.arrivals if one.head.startswith(b"DELETE")]
        return [body["preconditions"]["uid"] for body in bodies]


@asynccontextmanager
async def way_back_of(api: Api, folder: Path) -> AsyncIterator[LoadWayBack]:
    await api.server.open()
    kubeconfig = folder / "kubeconfig"
    cluster, context = {"server": api.server.url}, {"cluster": "c", "user": "u"}
    document = {"clusters": [{"name": "c", "cluster": cluster}], "users": [{"name": "u", "user": {"token": "t"}}]}
    document |= {"contexts": [{"name": "c", "context": context}]}
    kubeconfig.write_text(json.dumps({"apiVersion": "v1", "kind": "Config", "current-context": "c"} | document))
    one = LoadWayBack(receipt(RUN, "load", 2), Kubernetes(kubeconfig=kubeconfig, context="c", namespace="platform"), CLOCK)
    try:
        yield one
    finally:
        await one.close()
        await api.server.close()


async def healed(api: Api, folder: Path) -> float:
    """How long it took, in seconds."""
    async with way_back_of(api, folder) as one:
        began = CLOCK.now()
        await one.heal(receipt(RUN, "load", 2))
        return CLOCK.now() - began


async def test_a_job_that_is_there_is_told_to_go_once_and_waited_for(tmp_path: Path) -> None:
    api = Api(lambda asked: job(RUN, going=asked > 1) if asked < 4 else ABSENT)
    assert await healed(api, tmp_path) < module.LATEST_S
    assert api.deleted == ["u1"]


async def test_a_job_that_comes_after_the_first_look_is_taken_away(tmp_path: Path) -> None:
    """Its POST had no answer, and the API server wrote it later."""
    began = CLOCK.now()
    api = Api(lambda _asked: job(RUN) if CLOCK.now() - began > 1.0 and not api.deleted else ABSENT)
    await healed(api, tmp_path)
    assert api.deleted == ["u1"]


async def test_nothing_is_said_to_be_left_only_when_no_job_can_come_any_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LATEST_S", 1.0)
    assert await healed(Api(lambda _asked: ABSENT), tmp_path) >= 1.0


async def test_pods_that_outlive_their_job_are_not_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    api = Api(lambda _asked: ABSENT, lambda asked: pods("load-0-x") if asked < 4 else pods())
    await healed(api, tmp_path)
    monkeypatch.setattr(module, "DEADLINE_S", 1.0)
    with pytest.raises(HealFailed, match=r"pods load-0-x have not ended.*delete pod -l .*=20261128-120000-abcd --force"):
        await healed(Api(lambda _asked: ABSENT, lambda _asked: pods("load-0-x")), tmp_path)


async def test_pods_of_an_orphaned_job_that_have_ended_are_no_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LATEST_S", 0.5)
    await healed(Api(lambda _asked: ABSENT, lambda _asked: pods("load-0-x", phase="Succeeded")), tmp_path)


async def test_where_no_job_can_come_nothing_is_waited_for(tmp_path: Path) -> None:
    async with way_back_of(Api(lambda _asked: ABSENT), tmp_path) as one:
        began = CLOCK.now()
        await one.heal(receipt(RUN, "load", 2), may_come=False)
        assert CLOCK.now() - began < module.LATEST_S / 2


async def test_a_job_of_another_run_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LATEST_S", 0.5)
    api = Api(lambda _asked: job(OTHER, "u2"))
    await healed(api, tmp_path)
    assert api.deleted == []


async def test_an_error_of_the_api_server_that_is_over_is_not_given_as_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DEADLINE_S", 1.0)
    api = Api(lambda asked: Reply("broken", 500, b'{"message": "etcd is away"}') if asked == 1 else job(RUN, going=True))
    with pytest.raises(HealFailed, match="it waits for its pods to end") as caught:
        await healed(api, tmp_path)
    assert "etcd" not in str(caught.value)
