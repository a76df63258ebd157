"""What an interposition writes: which links, which ports, which patches, and what it refuses by name."""

from __future__ import annotations

import json
import shlex
from typing import Any

import pytest

from orchestrator.errors import TargetError
from orchestrator.interposing.links import InterposedLink
from orchestrator.interposing.look import own_reading, planned_switch
from orchestrator.interposing.passage import Company
from orchestrator.interposing.switch import Switch
from orchestrator.targets.services import Service
from probes.clients.connections import Connection
from probes.target import Interpose, TargetDescription
from sandbox.kube.errors import ApiError
from sandbox.kube.patches import json_patch, merge

HTTP = {"name": "http", "port": 6333, "targetPort": "http", "protocol": "TCP"}
GRPC = {"name": "grpc", "port": 6334, "targetPort": 6334, "protocol": "TCP", "nodePort": 30_001}
SELECTOR = {"app": "qdrant", "tier": "data"}


def service(**more: Any) -> Service:
    parts: dict[str, Any] = {
        "name": "qdrant",
        "version": "7",
        "cluster_ip": "10.96.0.9",
        "selector": SELECTOR,
        "ports": [HTTP],
        "owner": "",
    }
    return Service(**parts | more)


def link(**more: Any) -> InterposedLink:
    parts: dict[str, Any] = {"service": "qdrant", "port": "http", "proxy_selector": {"app": "toxiproxy"}, "proxy_port": 26_333}
    return InterposedLink("qdrant-link", "qdrant-link", "http://t:8474", "qdrant", "/readyz", Interpose.model_validate(parts | more))


def document(one: Service) -> dict[str, Any]:
    spec = {"clusterIP": one.cluster_ip, "selector": one.selector, "ports": one.ports}
    return {"metadata": {"name": one.name, "resourceVersion": one.version}, "spec": spec}


def switched() -> tuple[Switch, dict[str, Any], dict[str, Any]]:
    """A switch of two ports, the object before, and the object as it leads through the proxy."""
    one = service(ports=[HTTP, GRPC])
    switch = planned_switch(link(other_ports={"grpc": 26_334}), one)
    before = document(one)
    return switch, before, json_patch(json.loads(json.dumps(before)), switch.there("7"))


def test_there_changes_selector_and_target_ports_alone() -> None:
    switch, before, through = switched()
    assert through["spec"]["selector"] == {"app": "toxiproxy"}
    assert [port["targetPort"] for port in through["spec"]["ports"]] == [26_333, 26_334]
    assert switch.proxies == ["qdrant", "qdrant-6334"]
    kept = [{key: value for key, value in port.items() if key != "targetPort"} for port in (HTTP, GRPC)]
    assert [{key: value for key, value in port.items() if key != "targetPort"} for port in through["spec"]["ports"]] == kept
    assert before["spec"]["clusterIP"] == through["spec"]["clusterIP"]


def test_back_restores_exactly_by_either_way() -> None:
    switch, before, through = switched()
    assert json_patch(json.loads(json.dumps(through)), switch.back()) == before
    merged = merge(through, switch.merge_back(through["spec"]["ports"], "7"))
    assert merged == before


@pytest.mark.parametrize(
    "change",
    [
        {"selector": {"app": "toxiproxy", "shard": "1"}},
        {"ports": [HTTP | {"targetPort": 1}, GRPC | {"targetPort": 26_334}]},
        {"ports": [GRPC | {"targetPort": 26_334}, HTTP | {"targetPort": 26_333}]},
    ],
    ids=["selector", "target port", "order of the ports"],
)
def test_back_refuses_what_somebody_else_has_changed(change: dict[str, Any]) -> None:
    switch, _, through = switched()
    with pytest.raises(ApiError):
        json_patch(through | {"spec": through["spec"] | change}, switch.back())


def test_there_refuses_another_version() -> None:
    switch, before, _ = switched()
    with pytest.raises(ApiError):
        json_patch(before | {"metadata": {"name": "qdrant", "resourceVersion": "8"}}, switch.there("7"))


def test_a_receipt_suffices_and_the_commands_for_a_person_are_whole() -> None:
    switch, before, through = switched()
    again = Switch.model_validate_json(switch.model_dump_json())
    assert again == switch
    patch, *rest = again.by_hand(context="prod eu", namespace="media").split(" && ")
    words = shlex.split(patch)
    assert words[:7] == ["kubectl", "--context", "prod eu", "-n", "media", "patch", "service"]
    assert json_patch(through, json.loads(words[-1])) == before
    assert rest[:2] == ["curl -X DELETE http://t:8474/proxies/qdrant", "curl -X DELETE http://t:8474/proxies/qdrant-6334"]
    assert rest[2].endswith("delete service qdrant-chaos-upstream --ignore-not-found")


@pytest.mark.parametrize(
    ("found", "asked", "words"),
    [
        (service(selector={}), link(), "has no selector"),
        (service(cluster_ip="None"), link(), "is headless"),
        (service(ports=[HTTP, GRPC]), link(), "has a port grpc, too, which would lead nowhere"),
        (service(ports=[HTTP | {"protocol": "UDP"}]), link(), "speaks UDP"),
        (service(), link(port="redis", other_ports={"http": 1}), "has no port redis: it has http"),
    ],
)
def test_a_service_that_cannot_be_led_is_refused_by_name(found: Service, asked: InterposedLink, words: str) -> None:
    with pytest.raises(TargetError, match=words):
        planned_switch(asked, found)


def test_a_port_may_be_named_by_its_number() -> None:
    assert planned_switch(link(port="6333"), service(ports=[{"port": 6333, "targetPort": 6333}])).through.targets == [26_333]


OURS: list[tuple[str, dict[str, Any]]] = [
    ("role cache", {"roles": {"cache": {"kind": "redis", "url": "redis://qdrant.media.svc:6379/0"}}}),
    ("role cache", {"roles": {"cache": {"kind": "redis", "url": "redis://10.96.0.7:6379/0"}}}),
    ("breaker b", {"breakers": [{"kind": "copy", "name": "b", "url": "redis://qdrant:6379/0", "key": "state"}]}),
    ("", {"roles": {"cache": {"kind": "redis", "url": "redis://redis-0.redis:6379/0"}}}),
    ("", {}),
]


@pytest.mark.parametrize(("who", "parts"), OURS)
def test_whoever_of_us_comes_by_the_service_is_known(who: str, parts: dict[str, Any]) -> None:
    assert own_reading(link(), described(**parts), "10.96.0.7") == who


@pytest.mark.parametrize(("who", "host"), [("peers", "10.96.0.7"), ("peers", "qdrant.media.svc"), ("", "10.244.1.3")])
def test_the_list_of_connections_must_not_be_asked_for_by_the_service(who: str, host: str) -> None:
    asked = link(peers={"kind": "redis", "url": f"redis://{host}:6379/0"})
    assert own_reading(asked, described(), "10.96.0.7") == who


def described(**parts: Any) -> TargetDescription:
    least: dict[str, Any] = {"name": "t", "gateway_url": "http://g", "content_id_format": "c", "content_count": 1, "routes": {}}
    return TargetDescription.model_validate(least | {"roles": {}} | parts)


def test_only_passing_connections_that_have_asked_lately_are_busy() -> None:
    company = Company([Connection("1", "p", 0.0), Connection("2", "p", 11.5), Connection("3", "p", None)], [Connection("4", "a", 0.0)])
    assert (company.busy(5.0), company.busy(11.0)) == (1, 2)
