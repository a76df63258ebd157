"""The product's lease and its first guards against an API server."""

import pytest
from kube_clients import Kube

from orchestrator import guards
from orchestrator.targets.lease import LeaseClient
from probes.clock import SystemClock
from probes.target import Kubernetes

NOW, LATER = "2026-11-28T00:00:00.000000Z", "2026-11-28T00:00:05.000000Z"


@pytest.fixture
def target(kube: Kube) -> Kubernetes:
    return Kubernetes(kubeconfig=kube.backend.kubeconfig, context=kube.backend.context, namespace=kube.namespace)


async def test_a_lease_is_made_renewed_refused_to_others_and_given_up(target: Kubernetes) -> None:
    client = LeaseClient(target)
    assert await client.read() is None
    ours = await client.write("run-1", None, lasts_s=15, now=NOW)
    assert ours is not None
    assert await client.read() == ours
    assert await client.write("run-2", None, lasts_s=15, now=NOW) is None
    renewed = await client.write("run-1", ours, lasts_s=15, now=LATER)
    assert renewed is not None
    assert renewed.version != ours.version
    assert await client.write("run-2", ours, lasts_s=15, now=NOW) is None
    await client.delete(ours)
    assert await client.read() == renewed
    await client.delete(renewed)
    assert await client.read() is None
    client.close()


async def test_a_namespace_must_allow_chaos_and_the_cluster_be_the_one_that_is_meant(kube: Kube, target: Kubernetes) -> None:
    clock = SystemClock()
    uid = kube.core.read_namespace("kube-system").metadata.uid
    meant, other = (target.model_copy(update={"cluster_uid": one}) for one in (uid, "another"))
    try:
        kube.core.patch_namespace(kube.namespace, {"metadata": {"labels": {guards.OPT_IN: "true"}}})
        assert await guards.of_the_cluster(meant, clock) == []
        (said,) = await guards.of_the_cluster(other, clock)
        assert said == f"context {target.context} leads to cluster {uid}, the target description means another"
        kube.core.patch_namespace(kube.namespace, {"metadata": {"labels": {guards.OPT_IN: None}}})
        (said,) = await guards.of_the_cluster(meant, clock)
        assert (
            f"namespace {kube.namespace} does not allow chaos; its owner does so with: kubectl --context {target.context} label namespace"
            in said
        )
    finally:
        kube.core.patch_namespace(kube.namespace, {"metadata": {"labels": {guards.OPT_IN: "true"}}})


async def test_a_cluster_that_does_not_answer_is_an_objection(target: Kubernetes) -> None:
    (said,) = await guards.of_the_cluster(target.model_copy(update={"namespace": "nowhere"}), SystemClock())
    assert said.startswith(f"the cluster of context {target.context} cannot be asked: ")
    (said,) = await guards.of_the_cluster(target.model_copy(update={"context": "nowhere"}), SystemClock())
    assert "context nowhere" in said
