"""Writes to the Kubernetes API, by scripted servers: exactly one pod, and a clear error in time when the server misbehaves."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from fault_rig import platform, served
from scripted_server import Reply, ScriptedServer

from orchestrator.errors import TargetError
from orchestrator.targets import kube as kube_module
from orchestrator.targets.kube import KubeWriter
from probes.target import Kubernetes

DEADLINE_S = 10.0


def writer_of(url: str, folder: Path) -> KubeWriter:
    target = platform(url, folder).kubernetes
    assert isinstance(target, Kubernetes)
    return KubeWriter(target)


async def test_a_delete_names_exactly_one_pod_and_carries_the_token(tmp_path: Path) -> None:
    server = ScriptedServer(lambda _head: Reply("done", body=b'{"kind": "Status"}'))
    async with served(server) as url:
        writer = writer_of(url, tmp_path)
        assert await writer.delete_pod("pod-1", uid="uid-1", grace_s=0)
        writer.close()
    (arrival,) = server.arrivals
    assert arrival.head.startswith(b"DELETE /api/v1/namespaces/media-gateway/pods/pod-1 ")
    assert b"bearer secret" in arrival.head.lower()
    assert json.loads(arrival.body) == {"preconditions": {"uid": "uid-1"}, "gracePeriodSeconds": 0}


@pytest.mark.parametrize("status", [404, 409])
async def test_a_pod_that_is_gone_or_another_is_not_deleted(tmp_path: Path, status: int) -> None:
    async with served(ScriptedServer(lambda _head: Reply("no", status=status, body=b"{}"))) as url:
        writer = writer_of(url, tmp_path)
        assert not await writer.delete_pod("pod-1", uid="uid-1", grace_s=0)
        writer.close()


@pytest.mark.parametrize(
    "reply",
    [
        Reply("403", status=403, body=b'{"message": "forbidden"}'),
        Reply("500", status=500, body=b"oops"),
        Reply("hangs", breaks="hang"),
        Reply("reset", breaks="reset"),
    ],
    ids=lambda reply: reply.name,
)
async def test_a_server_that_misbehaves_is_a_target_error_in_time(tmp_path: Path, reply: Reply, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kube_module, "TIMEOUT_S", 0.3)
    async with served(ScriptedServer(lambda _head: reply)) as url:
        writer = writer_of(url, tmp_path)
        began = time.monotonic()
        with pytest.raises(TargetError):
            await writer.delete_pod("pod-1", uid="uid-1", grace_s=0)
        with pytest.raises(TargetError):
            await writer.scale("statefulsets", "set", 2)
        assert time.monotonic() - began < DEADLINE_S
        writer.close()
