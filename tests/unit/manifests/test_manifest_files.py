"""The manifests as files: whole, held to what the product declares and to its own deadlines, and safe as they come."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator.binding import bind
from orchestrator.experiment_file import read_experiment
from orchestrator.faults.kinds import KINDS
from orchestrator.faults.permissions import INTERPOSE, LEASE, LOAD_JOB, MIRROR, OBSERVER, Permission
from orchestrator.guardian import HEAL_WITHIN_S
from orchestrator.guardian_process import END_WITHIN_S
from orchestrator.guards import OPT_IN
from orchestrator.plan import read_plan
from orchestrator.session import FINISH_WITHIN_S
from probes.target import TargetDescription, load_description

ROOT = Path(__file__).parents[3]
MANIFESTS = ROOT / "manifests"
Document = dict[str, Any]


def documents(path: Path) -> list[Document]:
    return [document for document in yaml.safe_load_all(path.read_text(encoding="utf-8")) if document]


def one(path: str) -> Document:
    (document,) = documents(MANIFESTS / path)
    return document


def ours() -> list[Path]:
    """Our kustomizations; the platform's are tested with the platform."""
    return sorted(path for path in MANIFESTS.rglob("kustomization.yaml") if "platform" not in path.relative_to(MANIFESTS).parts)


def granted(name: str, *, folder: str = "access") -> set[Permission]:
    """What the Role of this name allows."""
    roles = [document for path in (MANIFESTS / folder).glob("*.yaml") for document in documents(path) if document["kind"] == "Role"]
    (role,) = [role for role in roles if role["metadata"]["name"] == name]
    return {
        Permission(verb, resource.partition("/")[0], group, resource.partition("/")[2], name)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
        for name in rule.get("resourceNames", [""])
    }


def holders(folder: str = "access") -> dict[str, set[str]]:
    """Role -> ServiceAccounts that are bound to it."""
    bindings = [document for path in (MANIFESTS / folder).glob("*.yaml") for document in documents(path)]
    return {
        document["roleRef"]["name"]: {subject["name"] for subject in document["subjects"]}
        for document in bindings
        if document["kind"] == "RoleBinding"
    }


def role_of(kind: str) -> str:
    return f"chaos-fault-{kind.replace('_', '-')}"


def pod() -> Document:
    template: Document = one("base/pod.yaml")["template"]
    return template


@pytest.mark.parametrize("kustomization", ours(), ids=lambda path: str(path.parent.relative_to(MANIFESTS)))
def test_a_kustomization_names_files_that_are_there_and_all_of_them(kustomization: Path) -> None:
    (document,) = documents(kustomization)
    folder = kustomization.parent
    generated = [name for generator in document.get("configMapGenerator", ()) for name in generator["files"]]
    patches = [patch["path"] for patch in document.get("patches", ())]
    named = [*document.get("resources", ()), *document.get("components", ()), *generated, *patches]
    for name in named:
        assert (folder / name).exists(), name
        assert not (folder / name).is_dir() or (folder / name / "kustomization.yaml").is_file(), name
    assert {path.name for path in folder.iterdir() if path.is_file()} - {"kustomization.yaml"} == {
        name for name in named if "/" not in name
    }


def test_the_roles_allow_what_the_product_declares_and_no_more() -> None:
    needy = {kind: set(entry.needs) for kind, entry in KINDS.items() if entry.needs}
    assert granted("chaos-observer") == set(OBSERVER)
    assert granted("chaos-run") == {*LEASE, *MIRROR}
    assert {kind: granted(role_of(kind)) for kind in needy} == needy


def test_writing_is_the_injectors_alone() -> None:
    found = holders()
    assert found.pop("chaos-observer") == {"chaos-observer", "chaos-injector"}
    assert found == {name: {"chaos-injector"} for name in ("chaos-run", *(role_of(kind) for kind, entry in KINDS.items() if entry.needs))}
    assert {one.verb for one in OBSERVER} <= {"get", "list", "watch"}


def test_who_interposes_may_do_that_and_only_where_an_overlay_asks_for_it() -> None:
    assert granted("chaos-interpose", folder="interpose") == set(INTERPOSE)
    assert holders("interpose") == {"chaos-interpose": {"chaos-injector"}}
    assert one("interpose/kustomization.yaml")["namespace"] == one("access/kustomization.yaml")["namespace"]
    others = [path for path in ours() if any("interpose" in name for name in documents(path)[0].get("resources", ()))]
    assert others == []


def test_who_makes_the_load_from_pods_may_do_that_in_a_namespace_of_its_own() -> None:
    assert granted("chaos-load", folder="load") == set(LOAD_JOB)
    assert holders("load") == {"chaos-load": {"chaos-injector"}}
    apart = one("load/kustomization.yaml")["namespace"]
    assert apart == one("load/namespace.yaml")["metadata"]["name"]
    assert apart not in (one("access/kustomization.yaml")["namespace"], one("base/namespace.yaml")["metadata"]["name"])
    others = [path for path in ours() if any(name.endswith("/load") for name in documents(path)[0].get("resources", ()))]
    assert others == []


def test_the_pod_has_time_to_heal_before_it_is_killed() -> None:
    assert pod()["spec"]["terminationGracePeriodSeconds"] >= FINISH_WITHIN_S + END_WITHIN_S + HEAL_WITHIN_S


def test_the_pod_is_nobody_and_can_write_only_where_it_must() -> None:
    spec = pod()["spec"]
    (container,) = spec["containers"]
    assert spec["securityContext"]["runAsNonRoot"]
    assert spec["securityContext"]["runAsUser"] == 10001
    assert not spec["automountServiceAccountToken"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {mount["name"] for mount in container["volumeMounts"] if not mount.get("readOnly")} == {"tmp", "runs"}
    assert set(container["resources"]) == {"requests", "limits"}
    assert spec["restartPolicy"] == "OnFailure"


def test_nothing_is_hit_by_default() -> None:
    cronjob = one("cronjob/cronjob.yaml")["spec"]
    assert cronjob["suspend"]
    assert cronjob["concurrencyPolicy"] == "Forbid"
    assert one("opt-in.yaml") == {"metadata": {"labels": {OPT_IN: "true"}}}


def test_no_delete_of_ours_reaches_the_platforms_namespace() -> None:
    named = {
        document["metadata"]["name"]
        for kustomization in ours()
        for path in kustomization.parent.glob("*.yaml")
        for document in documents(path)
        if isinstance(document, dict) and document.get("kind") == "Namespace"
    }
    assert named == {"chaos-orchestrator", "chaos-load"}


def description() -> TargetDescription:
    return load_description((MANIFESTS / "base/target.yaml").read_text(encoding="utf-8"), source="target.yaml")


def test_the_target_description_serves_the_experiment_of_the_pod() -> None:
    (container,) = pod()["spec"]["containers"]
    experiment = ROOT / "experiments" / Path(container["command"][-1]).name
    bind(read_plan(read_experiment(experiment)), description())


def test_the_target_description_leads_to_the_namespace_of_the_roles_by_the_context_of_the_pod() -> None:
    target, kubeconfig = description().cluster, one("base/kubeconfig")
    assert target.namespace == one("access/kustomization.yaml")["namespace"]
    assert target.context in {context["name"] for context in kubeconfig["contexts"]}
    (container,) = pod()["spec"]["containers"]
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert str(target.kubeconfig) == f"{mounts['kubeconfig']}/kubeconfig"
    (user,) = kubeconfig["users"]
    assert user["user"]["tokenFile"] == f"{mounts['identity']}/token"


def test_no_secret_stands_in_a_manifest() -> None:
    kinds = {
        document["kind"]
        for path in MANIFESTS.rglob("*.yaml")
        for document in documents(path)
        if isinstance(document, dict) and "kind" in document
    }
    assert "Secret" not in kinds
