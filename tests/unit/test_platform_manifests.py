"""The files below manifests/platform and the cluster's target description: written from the sandbox's facts, and rightly."""

import os
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from probes.target import LinkRole, RedisRole, ReplicaRole, TargetDescription, load_description
from sandbox import flaws
from sandbox.__main__ import main
from sandbox.describe import IN_CLUSTER, description
from sandbox.in_cluster import LINK_PORTS
from sandbox.manifests import HEAD, SEED, UID, files
from sandbox.ports import LINKS, REPLICAS
from sandbox.settings import Settings

ROOT = Path(__file__).parents[2]
PLATFORM = ROOT / "manifests/platform"
TARGET = ROOT / "manifests/base/target.yaml"
PORT_NAME_LENGTH = 15


@cache
def documents() -> list[dict[str, Any]]:
    paths = [path for path in sorted(PLATFORM.glob("*.yaml")) if path.name != "kustomization.yaml"]
    return [document for path in paths for document in yaml.safe_load_all(path.read_text(encoding="utf-8"))]


def of_kind(*kinds: str) -> dict[str, dict[str, Any]]:
    return {one["metadata"]["name"]: one for one in documents() if one["kind"] in kinds}


def pods() -> list[tuple[str, dict[str, Any]]]:
    return [(name, one["spec"]["template"]) for name, one in of_kind("Deployment", "StatefulSet").items()]


def target() -> TargetDescription:
    return load_description(TARGET.read_text(encoding="utf-8"), source=TARGET.name)


@pytest.mark.parametrize("name", sorted(files(Settings())))
def test_the_files_are_those_that_the_sandbox_writes(name: str) -> None:
    assert (PLATFORM / name).read_text(encoding="utf-8") == files(Settings())[name], "run `python -m sandbox manifests manifests/platform`"


def test_no_file_is_left_over() -> None:
    written = {path.name for path in PLATFORM.iterdir() if path.read_text(encoding="utf-8").startswith(HEAD)}
    assert written | {"proxies.json"} == set(files(Settings()))


def test_the_kustomization_takes_every_file() -> None:
    told = yaml.safe_load((PLATFORM / "kustomization.yaml").read_text(encoding="utf-8"))
    assert {*told["resources"], "kustomization.yaml"} == {path.name for path in PLATFORM.glob("*.yaml")}
    generated = {one["name"] for key in ("configMapGenerator", "secretGenerator") for one in told[key]}
    assert generated == {name for _, template in pods() for name in _referred(template["spec"])}


def _referred(spec: dict[str, Any]) -> Iterator[str]:
    for volume in spec["volumes"]:
        if "configMap" in volume:
            yield volume["configMap"]["name"]
    for container in spec["containers"]:
        yield from (source["configMapRef"]["name"] for source in container.get("envFrom", ()))
        yield from (
            one["valueFrom"]["secretKeyRef"]["name"] for one in container.get("env", ()) if "secretKeyRef" in one.get("valueFrom", {})
        )


def test_services_and_replicas_have_a_budget_and_the_lone_stores_have_none() -> None:
    """A lone store is down while its node is drained, whatever a budget says; it would only keep the drain from ending."""
    guarded = {one["spec"]["selector"]["matchLabels"]["app"] for one in of_kind("PodDisruptionBudget").values()}
    lone = {name for name, one in of_kind("StatefulSet").items() if one["spec"]["replicas"] == 1} | {"toxiproxy"}
    assert guarded == set(of_kind("Deployment", "StatefulSet")) - lone
    assert "postgresql-replica" in guarded


def test_every_service_finds_a_port_of_its_pods() -> None:
    open_ports = {name: {port["containerPort"] for c in template["spec"]["containers"] for port in c["ports"]} for name, template in pods()}
    for name, service in of_kind("Service").items():
        component = service["metadata"]["labels"]["app"]
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= open_ports[component], name
        assert all(len(port["name"]) <= PORT_NAME_LENGTH for port in service["spec"]["ports"]), name


def test_each_replica_has_a_service_of_its_own_with_numeric_ports_and_no_affinity() -> None:
    services = of_kind("Service")
    assert all(service["spec"]["sessionAffinity"] == "None" for service in services.values())
    for replica in REPLICAS:
        spec = services[replica]["spec"]
        assert spec["selector"] == {"statefulset.kubernetes.io/pod-name": replica}
        assert [port["targetPort"] for port in spec["ports"]] == [5432]


def test_every_pod_is_probed_says_what_it_needs_and_is_nobody_special() -> None:
    for name, template in pods():
        spec = template["spec"]
        assert (spec["securityContext"]["runAsNonRoot"], spec["securityContext"]["runAsUser"]) == (True, UID), name
        for container in spec["containers"]:
            assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(container), name
            assert set(container["resources"]["requests"]) == {"cpu", "memory"}, name
            assert container["securityContext"]["readOnlyRootFilesystem"], name


def test_the_namespace_allows_chaos() -> None:
    assert of_kind("Namespace")["media-gateway"]["metadata"]["labels"]["chaos.media-gateway/enabled"] == "true"


def test_a_planted_defect_reaches_the_manifests() -> None:
    planted = files(Settings(discovery_replicas=1, pubnub_breaker_failures=9))
    (deployment,) = [one for one in yaml.safe_load_all(planted["discovery-service.yaml"]) if one["kind"] == "Deployment"]
    assert deployment["spec"]["replicas"] == 1
    assert "MG_PUBNUB_BREAKER_FAILURES=9\n" in planted["services.env"]


def test_the_target_description_is_what_the_sandbox_tells_of_the_cluster() -> None:
    assert yaml.safe_load(TARGET.read_text(encoding="utf-8")) == yaml.safe_load(description(IN_CLUSTER))


def test_the_target_description_has_only_addresses_that_exist() -> None:
    services = of_kind("Service")
    known = {f"{name}.media-gateway.svc:{port['port']}" for name, one in services.items() for port in one["spec"]["ports"]}
    roles = target().roles.values()
    addresses = [target().gateway_url.removeprefix("http://")]
    addresses += [role.toxiproxy_url.removeprefix("http://") for role in roles if isinstance(role, LinkRole | ReplicaRole)]
    addresses += [role.url.removeprefix("redis://").removesuffix("/0") for role in roles if isinstance(role, RedisRole)]
    dsns = [dsn for role in roles if isinstance(role, ReplicaRole) for dsn in (role.primary_dsn, *role.replica_dsns.values())]
    addresses += [dsn.removeprefix("postgresql://media@").removesuffix("/media_gateway") for dsn in dsns]
    assert len(addresses) == 1 + 3 + 1 + 4
    assert set(addresses) <= known


def test_the_target_description_names_workloads_that_exist() -> None:
    assert set(target().workloads) == {name for name, _ in pods()}
    kinds = {"deployments": "Deployment", "statefulsets": "StatefulSet"}
    assert all(name in of_kind(kinds[resource]) for name, resource in target().workloads.items())


def test_every_link_has_a_port_and_a_proxy_of_that_name() -> None:
    assert set(LINK_PORTS) == set(LINKS)
    assert len(set(LINK_PORTS.values())) == len(LINKS)
    proxies = yaml.safe_load((PLATFORM / "proxies.json").read_text(encoding="utf-8"))
    assert [(one["name"], int(one["listen"].rpartition(":")[2])) for one in proxies] == list(LINK_PORTS.items())


def test_the_recipe_of_the_images_has_every_package_the_uid_and_the_place_of_the_seed() -> None:
    recipe = (ROOT / "Containerfile").read_text(encoding="utf-8")
    lines = recipe.splitlines()
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["packages"]["find"]["include"]
    assert {f"COPY {name} /src/{name}" for name in (one.rstrip("*") for one in packages)} <= set(lines)
    assert {f"USER {UID}:{UID}", f"COPY --from=seed {SEED} {SEED}", "FROM base AS product", "FROM base AS platform"} <= set(lines)
    sent = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    copied = {word for line in lines if line.startswith("COPY ") and "--from" not in line for word in line.split()[1:-1]}
    assert {f"!{name}" for name in copied} <= set(sent)


def test_the_command_writes_them_with_a_planted_defect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "umask", lambda _: 0)
    assert main(["manifests", str(tmp_path), "--flaw", "one-replica"]) == 0
    assert {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()} == files(flaws.settings(["one-replica"]))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["manifests", "nowhere/at/all"], "name a directory that exists"), (["manifests", ".", "--flaw", "nonsense"], "nonsense")],
)
def test_what_cannot_be_written_is_refused_in_a_sentence(
    arguments: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "umask", lambda _: 0)
    assert main(arguments) == 1
    told = capsys.readouterr().err
    assert said in told
    assert told.count("\n") == 1
