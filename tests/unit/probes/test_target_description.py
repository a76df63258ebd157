"""What a target description may leave out, and what it is told when it is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from probes.breaker_state import BreakerState, state_in_copy, state_in_line
from probes.target import CopySource, HealthSource, LogSource, TargetDescription, TargetDescriptionError, load_description
from sandbox.describe import Place, description
from sandbox.services.breaker import Rules
from sandbox.services.guard import Guard
from sandbox.services.log import JsonLines
from sandbox.services.metrics import Metrics

ROUTE = {"method": "GET", "path": "/", "authenticated_ratio": 0, "maximum_ms": 100}
BARE: dict[str, Any] = {
    "name": "bare",
    "gateway_url": "http://127.0.0.1:1",
    "content_id_format": "c{number}",
    "content_count": 1,
    "routes": {"a": ROUTE},
    "roles": {},
}
CLUSTER = {"kubeconfig": "/k", "context": "c", "namespace": "n"}
HEALTH = {"kind": "health", "name": "b", "pointer": "/state"}
METRIC = {"kind": "metric", "name": "b", "workload": "w", "path": "/metrics", "metric": "m"}
LOG = {"kind": "log", "name": "b", "workload": "w", "pattern": "to (?P<state>.*)"}
COPY = {"kind": "copy", "name": "b", "url": "redis://h:1/0", "key": "k"}
AT_URL = HEALTH | {"url": "http://h:1/health", "replica": "one"}


def load(**parts: Any) -> TargetDescription:
    return load_description(yaml.safe_dump(BARE | parts), source="bare.yaml")


def refusal(**parts: Any) -> str:
    with pytest.raises(TargetDescriptionError) as caught:
        load(**parts)
    return str(caught.value)


def test_a_platform_without_cluster_users_and_load() -> None:
    told = load(breakers=[AT_URL, AT_URL | {"replica": "two"}, COPY], load={"engine": "none"})
    assert (told.kubernetes, told.users, told.workloads, told.load.engine) == (None, None, {}, "none")
    assert [type(source) for source in told.breakers] == [HealthSource, HealthSource, CopySource]
    assert told.breaker_workloads == {"b": ""}
    assert load().load.engine == "open_loop"
    with pytest.raises(TargetDescriptionError, match="add kubernetes"):
        _ = told.cluster


def test_one_breaker_with_every_kind_of_source() -> None:
    told = load(kubernetes=CLUSTER, breakers=[HEALTH | {"workload": "w", "path": "/health"}, METRIC, LOG, COPY])
    assert [source.kind for source in told.breakers] == ["health", "metric", "log", "copy"]
    assert isinstance(told.breakers[2], LogSource)
    assert told.breaker_workloads == {"b": "w"}


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"workloads": {"w": "deployments"}}, "add kubernetes or leave workloads out"),
        ({"breakers": [METRIC]}, "add kubernetes or leave breakers out"),
        ({"breakers": [LOG]}, "add kubernetes or leave breakers out"),
        ({"calls": [{"workload": "w", "metric": "m"}]}, "add kubernetes or leave calls out"),
        ({"routes": {"a": ROUTE | {"authenticated_ratio": 0.1}}}, "routes.a.authenticated_ratio needs test users: add users or make it 0"),
        ({"delivery": {"origin": "o", "subscribe_key": "s", "channel_format": "c"}}, "add users or leave delivery out"),
        ({"load": {"engine": "k6"}}, "load: Input tag 'k6' found using 'engine' does not match any of the expected tags"),
        ({"load": {"engine": "job", "namespace": "l", "image": "i"}}, "load.job.workers: Field required"),
        ({"load": {"engine": "job", "namespace": "l", "image": "i", "workers": 2}}, "add kubernetes or choose another engine"),
        ({"breakers": [AT_URL, AT_URL]}, "two sources of kind health"),
    ],
)
def test_what_needs_something_that_is_not_there(parts: dict[str, Any], words: str) -> None:
    assert words in refusal(**parts)


@pytest.mark.parametrize(
    ("source", "key", "words"),
    [
        ({"name": "b"}, "breakers.0", "there is no 'kind': add it"),
        (HEALTH | {"kind": "rumour"}, "breakers.0", "expected tags: 'health', 'metric', 'log', 'copy'"),
        (HEALTH, "breakers.0.health", "give workload and path (of its pods), or url and replica"),
        (HEALTH | {"url": "http://h/"}, "breakers.0.health", "url and replica"),
        (AT_URL | {"workload": "w"}, "breakers.0.health", "not both"),
        (AT_URL | {"url": "/health"}, "breakers.0.health.url", "pattern"),
        (AT_URL | {"pointer": "state"}, "breakers.0.health.pointer", "pattern"),
        (METRIC | {"pointer": "/state"}, "breakers.0.metric.pointer", "not permitted"),
        (LOG | {"pattern": "to (.*)"}, "breakers.0.log.pattern", "write (?P<state>...)"),
        (LOG | {"pattern": "to (?P<state>"}, "breakers.0.log.pattern", "mend it"),
        (LOG | {"words": {"tripped": "ajar"}}, "breakers.0.log.words.tripped", "'closed', 'open' or 'half_open'"),
        (COPY | {"url": "http://h"}, "breakers.0.copy.url", "pattern"),
        (COPY | {"workload": "w"}, "breakers.0.copy.workload", "not permitted"),
    ],
)
def test_a_wrong_source_is_told_its_key_and_the_fix(source: dict[str, Any], key: str, words: str) -> None:
    text = refusal(kubernetes=CLUSTER, breakers=[source])
    assert f"bare.yaml: {key}: " in text
    assert words in text


def test_the_sandbox_tells_its_sync_breaker_in_four_ways() -> None:
    told = load_description(description(Place(Path("none"), None)), source="sandbox")
    kinds = [source.kind for source in told.breakers if source.name == "sync->pubnub"]
    assert kinds == ["health", "metric", "log", "copy"]


def test_the_sandboxs_own_lines_and_copies_are_what_its_description_promises(caplog: pytest.LogCaptureFixture) -> None:
    told = load_description(description(Place(Path("none"), None)), source="sandbox")
    log, copy = (source for source in told.breakers if isinstance(source, LogSource | CopySource))
    assert isinstance(log, LogSource)
    assert isinstance(copy, CopySource)
    guard, other = (Guard(name, Rules(failures=1, open_s=9.0), Metrics()) for name in ("pubnub", "redis"))
    for one in (other, guard):
        permit = one.acquire()
        assert permit is not None
        one.record(permit, ok=False)
    lines = [JsonLines("sync", "sync-1").format(record) for record in caplog.records]
    assert [state_in_line(log, line) for line in lines] == [None, BreakerState("open")]
    assert copy.key == f"circuit_breaker:{guard.name}:state"
    assert state_in_copy(copy, guard._copy().decode()) == BreakerState("open")


LINK = {"kind": "link", "toxiproxy_url": "http://t:8474", "proxy": "x", "exposure": {"workload": "w", "metric": "m"}}
INTERPOSE = {"service": "s", "port": "http", "proxy_selector": {"app": "toxiproxy"}, "proxy_port": 26_379}
REPLICA = {
    "kind": "postgres-replica",
    "statefulset": "r",
    "primary_dsn": "d",
    "replica_dsns": {},
    "toxiproxy_url": "http://t:8474",
    "proxies": {},
}


def test_a_link_has_one_canary() -> None:
    assert load(roles={"x": LINK | {"canary_url": "redis://r:6379/0", "interpose": INTERPOSE}}).roles["x"].kind == "link"
    assert "give either canary_path" in refusal(roles={"x": LINK})
    assert "give either canary_path" in refusal(roles={"x": LINK | {"canary_path": "/", "canary_url": "http://h/"}})
    assert "canary_url" in refusal(roles={"x": LINK | {"canary_url": "telnet://h:1"}})


def test_an_interposed_link_names_the_pod_of_its_proxy() -> None:
    assert "proxy_selector" in refusal(roles={"x": LINK | {"canary_path": "/", "interpose": INTERPOSE | {"proxy_selector": {}}}})


def test_an_interposed_replica_is_felt_through_its_service() -> None:
    given = {"proxies": {"r-0": "x"}, "link_dsns": {"r-0": "postgresql://r-0:5432/d"}, "interpose": {"r-0": INTERPOSE}}
    assert load(roles={"x": REPLICA | given}).roles["x"].kind == "postgres-replica"
    for missing in ("proxies", "link_dsns"):
        assert "interpose.r-0 needs entries of r-0" in refusal(roles={"x": REPLICA | given | {missing: {}}})
