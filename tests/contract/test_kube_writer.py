"""Writes to the Kubernetes API, by scripted servers: exactly one pod, and a clear error in time when the server misbehaves."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from fault_rig import platform, served
from scripted_server import Reply, ScriptedServer

from orchestrator.errors import HealFailed, TargetError
from orchestrator.faults import replica_failure
from orchestrator.faults.base import Fault, Receipt
from orchestrator.faults.kinds import fault_of
from orchestrator.targets import kube as kube_module
from orchestrator.targets.kube import KubeWriter
from probes.clock import SystemClock
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


async def test_an_eviction_names_exactly_one_pod(tmp_path: Path) -> None:
    server = ScriptedServer(lambda _head: Reply("done", status=201, body=b'{"kind": "Status"}'))
    async with served(server) as url:
        writer = writer_of(url, tmp_path)
        assert await writer.evict_pod("pod-1", uid="uid-1")
        writer.close()
    (arrival,) = server.arrivals
    assert arrival.head.startswith(b"POST /api/v1/namespaces/media-gateway/pods/pod-1/eviction ")
    body = json.loads(arrival.body)
    assert (body["kind"], body["metadata"]["name"], body["deleteOptions"]) == ("Eviction", "pod-1", {"preconditions": {"uid": "uid-1"}})


async def test_an_eviction_that_a_disruption_budget_refuses_says_so(tmp_path: Path) -> None:
    words = "Cannot evict pod as it would violate the pod's disruption budget."
    reply = Reply("refused", status=429, body=json.dumps({"kind": "Status", "message": words}).encode())
    async with served(ScriptedServer(lambda _head: reply)) as url:
        writer = writer_of(url, tmp_path)
        with pytest.raises(TargetError, match=words):
            await writer.evict_pod("pod-1", uid="uid-1")
        writer.close()


async def test_a_token_that_is_renewed_in_its_file_is_the_one_that_is_sent(tmp_path: Path) -> None:
    """The kubelet replaces a pod's token long before an hour is over."""
    server = ScriptedServer(lambda _head: Reply("done", body=b'{"kind": "Status"}'))
    async with served(server) as url:
        platform(url, tmp_path)
        kubeconfig, token = tmp_path / "kubeconfig", tmp_path / "identity" / "token"
        token.parent.mkdir()
        token.write_text("first\n")
        kubeconfig.write_text(kubeconfig.read_text().replace("token: secret", "tokenFile: identity/token"))
        writer = KubeWriter(Kubernetes(kubeconfig=kubeconfig, context="sandbox", namespace="media-gateway"))
        await writer.call("GET", "/version")
        token.write_text("second\n")
        await writer.call("GET", "/version")
        token.unlink()
        await writer.call("GET", "/version")
        writer.close()
    sent = [line for arrival in server.arrivals for line in arrival.head.lower().split(b"\r\n") if line.startswith(b"authorization:")]
    assert sent == [b"authorization: bearer first", b"authorization: bearer second", b"authorization: bearer second"]


@pytest.mark.parametrize("status", [404, 409])
async def test_a_pod_that_is_gone_or_another_is_not_deleted(tmp_path: Path, status: int) -> None:
    async with served(ScriptedServer(lambda _head: Reply("no", status=status, body=b"{}"))) as url:
        writer = writer_of(url, tmp_path)
        assert not await writer.delete_pod("pod-1", uid="uid-1", grace_s=0)
        assert not await writer.evict_pod("pod-1", uid="uid-1")
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


class StatefulSet:
    """An API server with one StatefulSet whose scale subresource does not do its work, or that takes nothing at all."""

    def __init__(self, *, scale: Reply, patch: Reply | None = None) -> None:
        self.replicas = 2
        self._scale = scale
        self._patch = patch

    def answer(self, head: bytes) -> Reply:
        method, path = head.split(b" ")[:2]
        if method == b"PATCH" and path.endswith(b"/scale"):
            return self._scale
        if method == b"PATCH":
            if self._patch is not None:
                return self._patch
            self.replicas = 3
        shown = {"metadata": {"name": "replica"}, "spec": {"replicas": self.replicas, "selector": {"matchLabels": {"app": "replica"}}}}
        return Reply("object", body=json.dumps(shown).encode(), headers="Content-Type: application/json\r\n")


def failed_replica(url: str, folder: Path) -> tuple[Fault, Receipt]:
    described = platform(url, folder)
    receipt = Receipt(
        fault="cut",
        kind="replica_failure",
        run_id="run-1",
        settings={"role": "postgres-replica", "mode": "gone", "hold_s": 8},
        target="replica postgresql-replica-2",
        data={"pod": "postgresql-replica-2", "uid": "u", "replicas": 3},
    )
    return fault_of(receipt, described, SystemClock()), receipt


@pytest.mark.parametrize(
    "scale",
    [Reply("forbidden", status=403, body=b'{"message": "no"}'), Reply("lies", body=b"{}"), Reply("hangs", breaks="hang")],
    ids=lambda reply: reply.name,
)
async def test_a_scale_that_does_not_come_back_is_patched(tmp_path: Path, scale: Reply, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kube_module, "TIMEOUT_S", 0.3)
    monkeypatch.setattr(replica_failure, "HEAL_DEADLINE_S", 1.0)
    api = StatefulSet(scale=scale)
    async with served(ScriptedServer(api.answer)) as url:
        fault, receipt = failed_replica(url, tmp_path)
        await fault.heal(receipt)
        await fault.close()
    assert api.replicas == 3


async def test_a_replica_count_that_nothing_brings_back_is_told_with_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replica_failure, "HEAL_DEADLINE_S", 0.5)
    refused = Reply("forbidden", status=403, body=b'{"message": "no"}')
    async with served(ScriptedServer(StatefulSet(scale=refused, patch=refused).answer)) as url:
        fault, receipt = failed_replica(url, tmp_path)
        with pytest.raises(HealFailed) as told:
            await fault.heal(receipt)
        await fault.close()
    assert told.value.remedy == "kubectl -n media-gateway scale statefulset postgresql-replica --replicas=3"
