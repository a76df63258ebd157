"""What a document says about a breaker."""

from __future__ import annotations

import json

import pytest

from probes.breaker_state import BreakerState, Unreadable, breaker_state, parsed
from probes.target import HealthSource, MetricStateSource


def health(pointer: str, transitions_pointer: str = "") -> HealthSource:
    return HealthSource(name="b", workload="w", kind="health", path="/health", pointer=pointer, transitions_pointer=transitions_pointer)


METRIC = MetricStateSource(name="b", workload="w", kind="metric", path="/metrics", metric="circuit_breaker_state", labels={"name": "x"})
DOCUMENT = {
    "checks": {"discovery": {"circuit_breaker": "open"}, "sona": {"circuit_breaker": None}, "sync": {}},
    "circuit_breakers": {"pubnub": {"state": "HALF-OPEN", "transitions": 7}, "a/b": {"state": "closed"}},
    "list": [{"state": "closed"}],
}


@pytest.mark.parametrize(
    ("pointer", "state"),
    [
        ("/checks/discovery/circuit_breaker", "open"),
        ("/checks/sona/circuit_breaker", "closed"),
        ("/checks/sync/circuit_breaker", "closed"),
        ("/circuit_breakers/pubnub/state", "half_open"),
        ("/circuit_breakers/a~1b/state", "closed"),
        ("/list/0/state", "closed"),
    ],
)
def test_states_in_a_health_document(pointer: str, state: str) -> None:
    assert breaker_state(health(pointer), DOCUMENT).state == state


@pytest.mark.parametrize(
    "pointer", ["/checks/auth/circuit_breaker", "/gone/pubnub/state", "/checks/discovery/circuit_breaker/deeper", "/list"]
)
def test_what_is_not_there_is_not_closed(pointer: str) -> None:
    with pytest.raises(Unreadable):
        breaker_state(health(pointer), DOCUMENT)


def test_the_sources_own_counter_of_changes() -> None:
    assert breaker_state(health("/circuit_breakers/pubnub/state", "/circuit_breakers/pubnub/transitions"), DOCUMENT) == BreakerState(
        "half_open", 7
    )


@pytest.mark.parametrize(("value", "state"), [("0", "closed"), ("1", "half_open"), ("2.0", "open")])
def test_states_in_a_metric(value: str, state: str) -> None:
    text = f'circuit_breaker_state{{name="x"}} {value}\ncircuit_breaker_state{{name="y"}} 2\n'
    assert breaker_state(METRIC, text).state == state


@pytest.mark.parametrize("text", ["", 'circuit_breaker_state{name="x"} 3\n', 'circuit_breaker_state{name="x"} ?\n'])
def test_a_metric_that_says_nothing_is_unreadable(text: str) -> None:
    with pytest.raises(Unreadable):
        breaker_state(METRIC, text)


def test_the_api_servers_error_document_is_no_health_document() -> None:
    status = parsed("health", json.dumps({"kind": "Status", "status": "Failure", "code": 503}).encode())
    with pytest.raises(Unreadable):
        breaker_state(health("/checks/discovery/circuit_breaker"), status)
    with pytest.raises(Unreadable):
        parsed("health", b"<html>")
