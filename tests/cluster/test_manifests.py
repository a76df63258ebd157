"""The manifests on a real cluster: accepted by its API server, and what our identities may do there, by their own tokens."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cluster_rig import IMAGES, KUBECONFIG, ROOT, until
from manifest_rig import ORCHESTRATOR, PLATFORM, WITHIN_S, Installed, moved, rendered

from orchestrator.faults.kinds import KINDS
from orchestrator.faults.permissions import INTERPOSE, LOAD_JOB, OBSERVER, Permission, of_a_run
from orchestrator.guards import OPT_IN
from orchestrator.target_lease import TargetLease
from orchestrator.targets.kube import KubeWriter
from orchestrator.targets.lease import LeaseClient
from probes.clock import SystemClock
from probes.target import Kubernetes

pytestmark = pytest.mark.skipif(not KUBECONFIG, reason="CLUSTER_KUBECONFIG names no cluster")
EVERYBODY = {"selfsubjectaccessreviews", "selfsubjectrulesreviews", "selfsubjectreviews"}
"""What Kubernetes lets any identity create: questions about itself."""
INJECTOR = {*of_a_run(mirrored=True), *(one for kind in KINDS.values() for one in kind.needs)}
PLAN_WITHIN_S = 60.0
LOOK_S = 0.1
CLOCK = SystemClock()
STANDS_STILL = {"name": "main", "image": f"{IMAGES}busybox:local", "imagePullPolicy": "IfNotPresent", "command": ["sleep", "600"]}
TWICE = """
set -e
test "$(id -u)" = 10001
test -s /var/run/secrets/chaos/token
test -s /etc/chaos/target/target.yaml
test -n "$SANDBOX_PASSWORD"
touch /tmp/there
! touch /etc/there 2>/dev/null
if [ -e begun ]; then echo "begun before"; exit 0; fi
touch begun
exit 1
"""
"""Stands in for `orchestrator once`: fails the first time, and finds the second time what it wrote into its working folder."""


@pytest.fixture(scope="module", params=["kind", "managed"])
def installed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    """An overlay, sent for real to namespaces of the test. Its Job is suspended, as the CronJob is: the image is nowhere."""
    tag = secrets.token_hex(3)
    there = Installed(f"chaos-test-platform-{tag}", f"chaos-test-{tag}", tmp_path_factory.mktemp("identities"))
    documents = moved(rendered(request.param), {PLATFORM: there.platform, ORCHESTRATOR: there.orchestrator})
    for document in documents:
        if document["kind"] == "Job":
            document["spec"]["suspend"] = True
    try:
        there.kubectl("create", "namespace", there.platform)
        there.kubectl("apply", "-f", "-", given=yaml.safe_dump_all(documents))
        yield there
    finally:
        there.kubectl("delete", "namespace", there.platform, there.orchestrator, "--ignore-not-found", "--wait=false")


def test_the_owners_yes_takes_no_label_of_others_away(installed: Installed) -> None:
    platform = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": installed.platform, "labels": {"team": "media"}}}
    installed.kubectl("apply", "-f", "-", given=yaml.safe_dump(platform))
    installed.kubectl("patch", "namespace", installed.platform, "--patch-file", str(ROOT / "manifests/opt-in.yaml"))
    labels = json.loads(installed.kubectl("get", "namespace", installed.platform, "-o", "jsonpath={.metadata.labels}"))
    assert labels.items() >= {OPT_IN: "true", "team": "media"}.items()


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


async def test_interposing_is_granted_apart(installed: Installed) -> None:
    names = {PLATFORM: installed.platform, ORCHESTRATOR: installed.orchestrator}
    apart = yaml.safe_dump_all(moved(rendered("../interpose"), names))
    identity = installed.identity("chaos-injector")
    installed.kubectl("apply", "-f", "-", given=apart)
    try:
        await until_rules(identity, {*INJECTOR, *INTERPOSE})
    finally:
        installed.kubectl("delete", "-f", "-", given=apart)
    await until_rules(identity, INJECTOR)


async def test_making_the_load_is_granted_apart_and_elsewhere(installed: Installed) -> None:
    elsewhere = f"{installed.orchestrator}-load"
    apart = yaml.safe_dump_all(moved(rendered("../load"), {"chaos-load": elsewhere, ORCHESTRATOR: installed.orchestrator}))
    installed.kubectl("apply", "-f", "-", given=apart)
    try:
        await until_rules(installed.identity("chaos-injector", namespace=elsewhere), set(LOAD_JOB))
        await until_rules(installed.identity("chaos-injector"), INJECTOR)
    finally:
        installed.kubectl("delete", "-f", "-", "--wait=false", given=apart)


async def until_rules(identity: Kubernetes, wanted: set[Permission]) -> None:
    """The authorizer hears of Roles by a watch of its own, a moment later."""
    deadline = CLOCK.now() + WITHIN_S
    while (found := await rules(identity)) != wanted:
        assert CLOCK.now() < deadline, found ^ wanted
        await CLOCK.sleep_until(CLOCK.now() + LOOK_S)


@pytest.mark.parametrize("account", ["chaos-observer", "chaos-injector"])
async def test_no_identity_may_do_anything_in_another_namespace(installed: Installed, account: str) -> None:
    for namespace in (installed.orchestrator, "default", "kube-system"):
        assert await rules(installed.identity(account, namespace=namespace)) == set()


async def test_the_observers_writes_are_refused(installed: Installed) -> None:
    writer = KubeWriter(installed.identity("chaos-observer"))
    for method, path in writes(installed.platform):
        status, answer = await writer.call(method, path, {})
        assert (status, answer.get("reason")) == (403, "Forbidden"), (method, path)
    writer.close()


async def test_the_injectors_writes_are_refused_elsewhere(installed: Installed) -> None:
    writer = KubeWriter(installed.identity("chaos-injector"))
    for namespace in (installed.orchestrator, "default"):
        for method, path in writes(namespace):
            status, answer = await writer.call(method, path, {})
            assert (status, answer.get("reason")) == (403, "Forbidden"), (method, path)
    writer.close()


def writes(namespace: str) -> list[tuple[str, str]]:
    """Calls that would write, on objects that are not there: refused before anybody looks for them."""
    core, apps = f"/api/v1/namespaces/{namespace}", f"/apis/apps/v1/namespaces/{namespace}"
    lease = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
    return [
        ("POST", f"{core}/configmaps"),
        ("DELETE", f"{core}/pods/nobody"),
        ("PATCH", f"{apps}/statefulsets/nobody"),
        ("PATCH", f"{apps}/statefulsets/nobody/scale"),
        ("POST", lease),
        ("PUT", f"{lease}/chaos-orchestrator"),
        ("DELETE", f"{lease}/chaos-orchestrator"),
    ]


async def test_the_injector_does_all_that_it_needs(installed: Installed) -> None:
    """The writes of the product itself: a Lease from first to last, a pod away, a replica fewer and back by both ways."""
    for document in (a_pod("victim"), a_set("set")):
        installed.kubectl("-n", installed.platform, "apply", "-f", "-", given=yaml.safe_dump(document))
    identity = installed.identity("chaos-injector")
    lease = TargetLease(LeaseClient(identity), "run-1", CLOCK)
    await lease.take(lambda _said: None)
    assert await lease.renew() == ""
    await lease.give_up()
    writer = KubeWriter(identity)
    uid = installed.kubectl("-n", installed.platform, "get", "pod", "victim", "-o", "jsonpath={.metadata.uid}")
    assert await writer.delete_pod("victim", uid=uid, grace_s=0)
    await writer.scale("statefulsets", "set", 1)
    assert replicas(installed) == "1"
    await writer.set_replicas("statefulsets", "set", 0)
    assert replicas(installed) == "0"
    writer.close()


def replicas(installed: Installed) -> str:
    return installed.kubectl("-n", installed.platform, "get", "statefulset", "set", "-o", "jsonpath={.spec.replicas}")


def a_pod(name: str) -> dict[str, Any]:
    spec = {"containers": [STANDS_STILL], "terminationGracePeriodSeconds": 0}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def a_set(name: str) -> dict[str, Any]:
    """A StatefulSet of no replica: only its count is of interest."""
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [STANDS_STILL]}}
    spec = {"replicas": 0, "serviceName": name, "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": name}, "spec": spec}


MISSED = (
    Permission("get", "namespaces"),
    Permission("delete", "pods"),
    Permission("patch", "statefulsets", "apps", "scale"),
    Permission("update", "leases", "coordination.k8s.io", name="chaos-orchestrator"),
)


@pytest.mark.parametrize("installed", ["kind"], indirect=True)
@pytest.mark.parametrize("missing", MISSED, ids=str)
def test_the_dry_run_names_the_verb_that_is_missing(installed: Installed, tmp_path: Path, missing: Permission) -> None:
    identity = installed.identity("chaos-injector")
    assert refusals(identity, tmp_path) == []
    installed.kubectl("apply", "-f", "-", given=yaml.safe_dump_all(without(missing, roles(installed))))
    try:
        # The authorizer hears of it by a watch of its own, a moment later.
        until(f"the dry run misses {missing}", lambda: refusals(identity, tmp_path))
        assert refusals(identity, tmp_path) == [f"refused: our identity may not {missing} in namespace {installed.platform}"]
    finally:
        installed.kubectl("apply", "-f", "-", given=yaml.safe_dump_all(roles(installed)))
        until("the dry run misses nothing", lambda: not refusals(identity, tmp_path))


def roles(installed: Installed) -> list[dict[str, Any]]:
    """The Roles of the manifests, each rule cut into rules of one verb on one resource."""
    found = moved(
        [one for one in rendered("managed") if one["kind"] == "Role"], {PLATFORM: installed.platform, ORCHESTRATOR: installed.orchestrator}
    )
    for role in found:
        role["rules"] = [
            rule | {"resources": [resource], "verbs": [verb]}
            for rule in role["rules"]
            for resource in rule["resources"]
            for verb in rule["verbs"]
        ]
    return found


def without(missing: Permission, given: list[dict[str, Any]]) -> list[dict[str, Any]]:
    resource = f"{missing.resource}/{missing.subresource}" if missing.subresource else missing.resource
    for role in given:
        role["rules"] = [rule for rule in role["rules"] if (rule["verbs"], rule["resources"]) != ([missing.verb], [resource])]
    return given


def refusals(identity: Kubernetes, folder: Path) -> list[str]:
    """Sentences of the dry run about what our identity may not do."""
    return [line for line in planned(identity, folder) if "our identity may not" in line]


def planned(identity: Kubernetes, folder: Path) -> list[str]:
    """What `orchestrator plan` says of the whole experiment with this identity; it is refused anyway, for there is no platform."""
    target = yaml.safe_load((ROOT / "manifests/base/target.yaml").read_text(encoding="utf-8"))
    target["kubernetes"] = json.loads(identity.model_dump_json())
    (folder / "target.yaml").write_text(yaml.safe_dump(target), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator", "plan", str(ROOT / "experiments/full.json")],
        cwd=folder,
        env={"CHAOS_TARGET": str(folder / "target.yaml"), "PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=PLAN_WITHIN_S,
        check=False,
    )
    assert done.returncode == 3, done.stdout + done.stderr
    return done.stdout.splitlines()


def test_the_pod_is_admitted_writes_where_it_may_and_finds_its_folder_again(installed: Installed) -> None:
    """With a shell in the place of the orchestrator, which fails the first time: the same folder, restarted in the same pod."""
    secret = ("create", "secret", "generic", "chaos-secrets", "--from-literal=SANDBOX_PASSWORD=x")
    installed.kubectl("-n", installed.orchestrator, *secret)
    job = a_job(installed)
    spec = job["spec"]["template"]["spec"]
    spec["containers"][0] |= {"image": f"{IMAGES}busybox:local", "imagePullPolicy": "IfNotPresent", "command": ["sh", "-c", TWICE]}
    for volume in spec["volumes"]:
        # Not every test cluster has a storage class.
        if volume.pop("persistentVolumeClaim", None):
            volume["emptyDir"] = {}
    installed.kubectl("apply", "-f", "-", given=yaml.safe_dump(job))
    until("the pod ends well the second time", lambda: json.loads(job_status(installed)).get("succeeded"))
    said = installed.kubectl("-n", installed.orchestrator, "logs", "job/once-more")
    assert said.strip() == "begun before"


def a_job(installed: Installed) -> dict[str, Any]:
    """A run of the overlay's own making: by hand from its CronJob, where it has one."""
    by_hand = ("create", "job", "once-more", "--from=cronjob/chaos-full", "--dry-run=client", "-o", "json")
    copied = ("get", "job", "chaos-full", "-o", "json", "--ignore-not-found")
    found = installed.kubectl("-n", installed.orchestrator, *copied) or installed.kubectl("-n", installed.orchestrator, *by_hand)
    job: dict[str, Any] = json.loads(found)
    template = job["spec"]["template"]
    template["metadata"]["labels"] = {"app.kubernetes.io/name": "chaos-orchestrator"}
    metadata = {"name": "once-more", "namespace": installed.orchestrator}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata,
        "spec": {"backoffLimit": job["spec"]["backoffLimit"], "template": template},
    }


def job_status(installed: Installed) -> str:
    return installed.kubectl("-n", installed.orchestrator, "get", "job", "once-more", "-o", "jsonpath={.status}")
