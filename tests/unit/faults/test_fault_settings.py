"""What an experiment may ask of each fault, and the table of kinds."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from pydantic import ValidationError

from orchestrator import activities
from orchestrator.criteria_set import known_sets, load_criteria_set
from orchestrator.faults.kinds import KINDS

RIGHT: dict[str, dict[str, Any]] = {
    "pod_kill": {},
    "pod_evict": {},
    "link_latency": {"hold_s": 10, "delay_ms": 200},
    "replica_failure": {"hold_s": 10},
    "cache_flush": {},
    "partition": {"hold_s": 10, "mode": "refused"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_takes_what_its_activity_shows(kind: str) -> None:
    settings = KINDS[kind].settings
    settings.model_validate({"role": "x"} | RIGHT[kind], strict=True)
    shown = set(inspect.signature(getattr(activities, kind)).parameters)
    held = settings.model_fields["hold_s"].is_required()
    assert shown == (set(settings.model_fields) - {"hold_s"}) | ({"hold"} if held else set())


@pytest.mark.parametrize("name", known_sets())
def test_each_criteria_set_speaks_of_every_kind(name: str) -> None:
    said = load_criteria_set(name).faults
    assert {kind for kind in said if "/" not in kind} == set(KINDS)
    assert {kind.partition("/")[0] for kind in said} == set(KINDS)


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("pod_kill", {"hold_s": 5.0}),
        ("pod_evict", {"hold_s": 5.0}),
        ("cache_flush", {"hold_s": 5.0}),
        ("link_latency", {"hold_s": 0.0}),
        ("link_latency", {"delay_ms": 0}),
        ("link_latency", {"delay_ms": 60_001}),
        ("link_latency", {"jitter_ms": 200}),
        ("replica_failure", {"mode": "dead"}),
        ("partition", {"mode": "frozen"}),
        ("partition", {"direction": "both"}),
    ],
)
def test_what_makes_no_sense_is_refused(kind: str, change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        KINDS[kind].settings.model_validate({"role": "x"} | RIGHT[kind] | change)
