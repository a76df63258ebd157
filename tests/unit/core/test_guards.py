"""Caps on what a fault may take: by number, by share, and what the plan may allow itself."""

from __future__ import annotations

import pytest

from orchestrator.faults.base import BlastRadius
from orchestrator.guards import beyond
from probes.target import BlastCaps

PODS = "ready pods of discovery-service"


@pytest.mark.parametrize(
    ("count", "total", "may_take_last", "words"),
    [
        (1, 2, False, ""),
        (1, 3, False, ""),
        (1, 1, True, ""),
        (1, 1, False, "it would take 1 of 1 ready pods of discovery-service, the target description allows a share of 0.5"),
        (2, 8, False, "it would take 2 of 8 ready pods of discovery-service, the target description allows 1 (blast_caps.pods)"),
        (2, 2, True, "the target description allows 1 (blast_caps.pods)"),
        (0, 0, True, "there is nothing to hit: 0 ready pods of discovery-service"),
    ],
)
def test_pods_are_capped(count: int, total: int, may_take_last: bool, words: str) -> None:
    said = beyond(BlastRadius(PODS, count, total, capped=True, may_take_last=may_take_last), BlastCaps())
    assert said.startswith(words) if words.startswith(("it", "there")) else words in said
    assert bool(said) is bool(words)


def test_a_description_may_allow_more() -> None:
    radius = BlastRadius(PODS, 2, 3, capped=True)
    assert beyond(radius, BlastCaps(pods=2, share=0.7)) == ""
    assert "a share of 0.6" in beyond(radius, BlastCaps(pods=2, share=0.6))


def test_links_and_keys_are_not_pods() -> None:
    assert beyond(BlastRadius("keys in the cache", 0, 0), BlastCaps()) == ""
    assert beyond(BlastRadius("link qdrant", 1, 1), BlastCaps()) == ""
