"""The manifests on a real cluster: accepted by its API server, and what our identities may do there, by their own tokens."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest
import yaml
from manifest_rig import ORCHESTRATOR, PLATFORM, Installed, environment_kubeconfig, moved, rendered

from orchestrator.faults.kinds import KINDS
from orchestrator.faults.permissions import OBSERVER, RUN, Permission
from orchestrator.targets.kube import KubeWriter
from probes.target import Kubernetes

pytestmark = pytest.mark.skipif(not environment_kubeconfig(), reason="CLUSTER_KUBECONFIG names no cluster")
EVERYBODY = {"selfsubjectaccessreviews", "selfsubjectrulesreviews", "selfsubjectreviews"}
"""What Kubernetes lets any identity create: questions about itself."""
INJECTOR = {*OBSERVER, *RUN, *(one for kind in KINDS.values() for one in kind.needs)}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    """The kind overlay, sent for real; its Job waits, for the image is nowhere."""
    tag = secrets.token_hex(3)
    there = Installed(environment_kubeconfig(), f"chaos-test-platform-{tag}", f"chaos-test-{tag}", tmp_path_factory.mktemp("identities"))
    documents = moved(rendered("kind"), {PLATFORM: there.platform, ORCHESTRATOR: there.orchestrator})
    (job,) = (one for one in documents if one["kind"] == "Job")
    job["spec"]["suspend"] = True
    try:
        there.kubectl("apply", "-f", "-", given=yaml.safe_dump_all(documents))
        yield there
    finally:
        there.kubectl("delete", "namespace", there.platform, there.orchestrator, "--ignore-not-found", "--wait=false")


async def rules(identity: Kubernetes) -> set[Permission]:
    """Everything that the API server lets this identity do in the namespace of its context, questions about itself left out."""
    writer = KubeWriter(identity)
    body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview", "spec": {"namespace": identity.namespace}}
    status, answer = await writer.call("POST", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", body)
    writer.close()
    assert status == 201, answer
    assert not answer["status"]["incomplete"], answer
    return {
        Permission(verb, *_resource(resource, group), name=name)
        for rule in answer["status"]["resourceRules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
        for name in rule.get("resourceNames") or [""]
        if resource not in EVERYBODY
    }


def _resource(resource: str, group: str) -> tuple[str, str, str]:
    """Resource, group and subresource."""
    name, _, subresource = resource.partition("/")
    return name, group, subresource


async def test_the_observer_may_read_what_probes_read_and_nothing_else(installed: Installed) -> None:
    assert await rules(installed.identity("chaos-observer")) == set(OBSERVER)


async def test_the_injector_may_do_what_its_faults_need_and_nothing_else(installed: Installed) -> None:
    assert await rules(installed.identity("chaos-injector")) == INJECTOR


@pytest.mark.parametrize("account", ["chaos-observer", "chaos-injector"])
async def test_no_identity_may_do_anything_in_another_namespace(installed: Installed, account: str) -> None:
    for namespace in (installed.orchestrator, "default", "kube-system"):
        assert await rules(installed.identity(account, namespace=namespace)) == set()
