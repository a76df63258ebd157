"""The sabotages of a run and the negative controls, as data: what is done from outside, on the healthy platform, and what must turn."""

from __future__ import annotations

from accuracy.matrix import harms
from accuracy.matrix.rows import CellName, Row
from steady_state.judge import CRITERIA

POD_KILL, PARTITION = "pod-kill", "pubnub-partition"
EXPERIMENTS = {POD_KILL: "experiments/flaws/pod-kill.json", PARTITION: "experiments/flaws/partition.json"}
LINK, STANDBYS = "pubnub-link", "postgres-replica"
NOT_FELT, UNTOUCHED, NOT_TAKEN_AWAY = "its effect was not felt", "touched no traffic", "it was not taken away"
LAGGED, STANDBYS_UNSEEN, PODS_UNSEEN = "generator-limited", "replication saw nothing of", "pods saw nothing of"
"""Words of the judge. Source: steady_state/criteria/validity.py and steady_state/blindness.py."""
BY_THE_LOAD = frozenset(CRITERIA) - {"validity", "delivery", "refill"}
"""Criteria that look at requests or at counts per request."""


def _sabotage(name: str, summary: str, fault: str, harm: harms.Around, *, reason: str, may_follow: frozenset[str]) -> Row:
    """One whose run must say that it proves nothing, and why: the cell `validity` of its fault."""
    return Row(
        name=name,
        kind="sabotage",
        summary=summary,
        experiment=EXPERIMENTS[fault],
        cell=CellName(fault, "validity"),
        expected="INCONCLUSIVE",
        reason=reason,
        may_follow=frozenset(CellName(fault, criterion) for criterion in may_follow),
        harm=harm,
        # Where a heal is refused the fault lasts: what the platform then breaks, it does break.
        blameless=reason != NOT_TAKEN_AWAY,
    )


def _control(name: str, summary: str, harm: harms.Around) -> Row:
    return Row(name=name, kind="control", summary=summary, experiment=EXPERIMENTS[POD_KILL], harm=harm)


ALL = frozenset(CRITERIA)

SABOTAGES: tuple[Row, ...] = (
    _sabotage(
        "injection-without-effect",
        "Toxiproxy acknowledges the partition and reads it back, and goes on relaying",
        PARTITION,
        harms.swallowed_injection(LINK),
        reason=NOT_FELT,
        may_follow=ALL,
    ),
    _sabotage(
        "proof-cannot-be-felt",
        "the partition is real, but the address of its canary leads past the link",
        PARTITION,
        harms.unfelt_proof(LINK),
        reason=NOT_FELT,
        may_follow=ALL,
    ),
    _sabotage(
        "heal-refused",
        "once the partition is there, every call that would take it away is answered with 500",
        PARTITION,
        harms.refused_heal(LINK),
        reason=NOT_TAKEN_AWAY,
        may_follow=ALL,
    ),
    _sabotage(
        "load-at-80-percent",
        "the load workers are stopped for a fifth of the time, in slices of 0.1 s, for 15 s from soon after the injection",
        POD_KILL,
        harms.load_at_four_fifths,
        reason=LAGGED,
        may_follow=BY_THE_LOAD,
    ),
    _sabotage(
        "sampler-blind",
        "the sampler of the standbys sees nothing for 5 s soon after the injection",
        POD_KILL,
        harms.blind_replication(STANDBYS),
        reason=STANDBYS_UNSEEN,
        may_follow=frozenset({"recovery_time"}),
    ),
    _sabotage(
        "target-nobody-uses",
        "the link's role means a proxy of the same dependency that no service dials",
        PARTITION,
        harms.nobody_uses(LINK),
        reason=UNTOUCHED,
        may_follow=ALL,
    ),
    _sabotage(
        "api-server-stalled",
        "nothing passes between the run and the API server for 5 s soon after the injection",
        PARTITION,
        harms.stalled_api,
        reason=PODS_UNSEEN,
        may_follow=frozenset({"recovery_time", "breakers", "amplification"}),
    ),
)

CONTROLS: tuple[Row, ...] = (
    _control(
        "pod-clock-off",
        "the wall clocks of all gateway and discovery pods are 30 s ahead (Date headers, stamps in JSON and caches, expiries)",
        harms.clock_off("api-gateway", "discovery-service"),
    ),
    _control("generator-blinks", "the load workers are stopped once for 20 ms after the injection", harms.one_blink),
)
