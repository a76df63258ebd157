"""Planted defects of the platform: each a row of settings, with the cell of the verdict that it must turn."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from sandbox.settings import Settings

NEVER = 1_000_000


class UnknownFlawError(Exception):
    """No flaw has this name; the text lists those that there are."""


@dataclass(frozen=True, slots=True)
class Flaw:
    """One defect. `fault` and `criterion` name the cell that must turn to `expected`; `may_follow` are cells that may turn with it."""

    name: str
    summary: str
    fault: str
    criterion: str
    expected: str
    settings: dict[str, int | float | bool] = field(default_factory=dict)
    may_follow: tuple[tuple[str, str], ...] = ()
    experiment: str = ""


def _cells(fault: str, *criteria: str) -> tuple[tuple[str, str], ...]:
    return tuple((fault, criterion) for criterion in criteria)


FLAWS: tuple[Flaw, ...] = (
    Flaw(
        name="one-replica",
        summary="discovery runs as one pod, so that killing it is an outage until its replacement is ready",
        fault="pod-kill",
        criterion="zero_downtime",
        expected="FAIL",
        settings={"discovery_replicas": 1},
        may_follow=_cells("pod-kill", "error_rate_during", "degradation", "recovery_time", "breakers", "error_rate_after"),
        experiment="experiments/flaws/pod-kill.json",
    ),
    Flaw(
        name="breaker-never-opens",
        summary="sync's breaker for PubNub needs a million failures in a row, so that it never opens",
        fault="pubnub-partition",
        criterion="breakers",
        expected="FAIL",
        settings={"pubnub_breaker_failures": NEVER},
        may_follow=_cells("pubnub-partition", "degradation", "amplification"),
        experiment="experiments/flaws/partition.json",
    ),
    Flaw(
        name="breaker-never-closes",
        summary="sync's breaker for PubNub stays open for an hour, so that it is open long after PubNub is back",
        fault="pubnub-partition",
        criterion="breakers",
        expected="FAIL",
        settings={"pubnub_breaker_open_s": 3600.0},
        may_follow=_cells("pubnub-partition", "recovery_time", "degradation", "error_rate_after", "delivery"),
        experiment="experiments/flaws/partition.json",
    ),
    Flaw(
        name="retry-storm",
        summary="sync tries every publish twenty times without a pause, and its breaker does not stop it",
        fault="pubnub-partition",
        criterion="amplification",
        expected="FAIL",
        settings={"pubnub_tries": 20, "pubnub_backoff_s": 0.0, "pubnub_breaker_failures": NEVER},
        may_follow=_cells("pubnub-partition", "breakers", "degradation"),
        experiment="experiments/flaws/partition.json",
    ),
    Flaw(
        name="no-fallback",
        summary="discovery has neither keyword search nor last-known answers when Qdrant is away",
        fault="qdrant-partition",
        criterion="error_rate_during",
        expected="FAIL",
        settings={"discovery_keyword_fallback": False, "discovery_stale_fallback": False},
        may_follow=_cells("qdrant-partition", "zero_downtime", "degradation", "breakers", "recovery_time", "error_rate_after"),
        experiment="experiments/flaws/qdrant-partition.json",
    ),
    Flaw(
        name="fallback-not-marked",
        summary="discovery answers from its fallbacks without saying so",
        fault="qdrant-partition",
        criterion="degradation",
        expected="FAIL",
        settings={"discovery_marks_degraded": False},
        experiment="experiments/flaws/qdrant-partition.json",
    ),
    Flaw(
        name="no-failover",
        summary="a service whose replica is away tries neither another replica nor the primary",
        fault="replica-failure",
        criterion="error_rate_during",
        expected="FAIL",
        settings={"replica_failover": False},
        may_follow=_cells("replica-failure", "zero_downtime", "degradation", "breakers", "recovery_time", "error_rate_after"),
        experiment="experiments/flaws/replica-failure.json",
    ),
    Flaw(
        name="breaker-opens-unasked",
        summary="discovery's breaker for Qdrant opens every 14 s on a healthy system",
        fault="baseline",
        criterion="breakers",
        expected="FAIL",
        # Longer apart than the 10 s for which a platform must be steady before a run, shorter than the baseline of the experiment.
        settings={"qdrant_breaker_trips_every_s": 14.0, "qdrant_breaker_open_s": 0.6},
        experiment="experiments/flaws/observe.json",
    ),
    Flaw(
        name="breaker-opens-on-slow",
        summary="one answer of Qdrant that took longer than 180 ms opens discovery's breaker",
        fault="qdrant-latency",
        criterion="breakers",
        expected="FAIL",
        settings={"qdrant_breaker_slow_s": 0.18, "qdrant_breaker_failures": 1},
        may_follow=_cells("qdrant-latency", "recovery_time", "error_rate_after"),
        experiment="experiments/flaws/qdrant-latency.json",
    ),
    Flaw(
        name="stale-beyond-limit",
        summary="discovery's last-known answers come from a snapshot that is 25 hours old, an hour beyond their limit",
        fault="qdrant-partition",
        criterion="degradation",
        expected="FAIL",
        # Pages are kept for 2 s only: while they are there, nobody asks for the candidates.
        settings={"search_snapshot_age_s": 90_000, "search_cache_s": 2},
        experiment="experiments/flaws/qdrant-partition.json",
    ),
    Flaw(
        name="slow-readiness",
        summary="a discovery pod needs 150 s until it is ready, longer than a recovery may take",
        fault="pod-kill",
        criterion="recovery_time",
        expected="FAIL",
        settings={"discovery_startup_s": 150.0},
        may_follow=_cells("pod-kill", "error_rate_after"),
        experiment="experiments/flaws/pod-kill-long.json",
    ),
    Flaw(
        name="no-timeout",
        summary="a service waits a minute for a replica that has fallen silent",
        fault="replica-failure",
        criterion="error_rate_during",
        expected="FAIL",
        settings={"replica_timeout_s": 60.0},
        may_follow=_cells("replica-failure", "zero_downtime", "degradation", "recovery_time", "error_rate_after"),
        experiment="experiments/flaws/replica-freeze.json",
    ),
    Flaw(
        name="reads-stuck",
        summary="all reads are pinned to one replica and stay there when it is dead",
        fault="replica-failure",
        criterion="error_rate_during",
        expected="FAIL",
        settings={"replica_pinned": True, "replica_failover": False},
        may_follow=_cells("replica-failure", "zero_downtime", "degradation", "breakers", "recovery_time", "error_rate_after"),
        experiment="experiments/flaws/replica-failure.json",
    ),
    Flaw(
        name="reconnect-storm",
        summary="every pod that notices the flush connects anew and pings Redis two thousand times without a pause",
        fault="cache-flush",
        criterion="amplification",
        expected="FAIL",
        settings={"redis_loss_check_s": 0.2, "redis_loss_pings": 2000},
        may_follow=_cells("cache-flush", "refill"),
        experiment="experiments/flaws/cache-flush.json",
    ),
    Flaw(
        name="cache-never-refills",
        summary="a pod that notices the flush never writes to the cache again",
        fault="cache-flush",
        criterion="refill",
        expected="FAIL",
        settings={"redis_loss_check_s": 0.2, "redis_refills_after_loss": False},
        experiment="experiments/flaws/cache-refill.json",
    ),
    Flaw(
        name="wrong-answers",
        summary="discovery keeps answers under numbers that Redis counts: after the flush they are given out again",
        fault="cache-flush",
        criterion="error_rate_during",
        expected="FAIL",
        settings={"search_cache_by_number": True},
        may_follow=_cells("cache-flush", "refill", "degradation", "recovery_time", "error_rate_after", "zero_downtime"),
        experiment="experiments/flaws/cache-flush.json",
    ),
    Flaw(
        name="short-downtime",
        summary="a gateway that notices the flush answers nothing for 2 s",
        fault="cache-flush",
        criterion="zero_downtime",
        expected="FAIL",
        settings={"redis_loss_check_s": 0.2, "gateway_loss_pause_s": 2.0},
        may_follow=_cells("cache-flush", "refill", "error_rate_during", "degradation"),
        experiment="experiments/flaws/cache-flush.json",
    ),
    Flaw(
        name="sessions-lost",
        summary="the gateway believes Redis alone about sessions, so that a flush logs everybody out",
        fault="cache-flush",
        criterion="state_kept",
        expected="FAIL",
        settings={"gateway_sessions_in_redis": True},
        may_follow=_cells("cache-flush", "refill", "delivery", "degradation"),
        experiment="experiments/flaws/cache-flush.json",
    ),
    Flaw(
        name="messages-lost",
        summary="sync throws away what waits while PubNub is away",
        fault="pubnub-partition",
        criterion="delivery",
        expected="FAIL",
        settings={"sync_keeps_unpublished": False},
        experiment="experiments/flaws/partition.json",
    ),
    Flaw(
        name="messages-doubled",
        summary="sync publishes twice what had to wait",
        fault="pubnub-partition",
        criterion="delivery",
        expected="FAIL",
        settings={"sync_replay_copies": 2},
        experiment="experiments/flaws/partition.json",
    ),
    Flaw(
        name="messages-reordered",
        summary="sync sends the newest message first when several wait",
        fault="pubnub-partition",
        criterion="delivery",
        expected="FAIL",
        settings={"sync_replays_in_order": False},
        experiment="experiments/flaws/partition.json",
    ),
    Flaw(
        name="errors-after-recovery",
        summary="from 12 s after Qdrant's return on, every fifteenth search that would ask it fails: 1 % of all requests",
        fault="qdrant-partition",
        criterion="error_rate_after",
        expected="FAIL",
        settings={"qdrant_relapse_every": 15},
        experiment="experiments/flaws/qdrant-partition.json",
        may_follow=_cells("qdrant-partition", "recovery_time"),
    ),
)


def settings(names: Iterable[str]) -> Settings:
    """The platform's settings with these flaws planted. Raises UnknownFlawError."""
    values: dict[str, int | float | bool] = {}
    for name in names:
        values |= _flaw(name).settings
    return Settings(**values)  # type: ignore[arg-type]


def as_json() -> list[dict[str, Any]]:
    """All flaws as plain data."""
    return [asdict(flaw) | {"may_follow": [{"fault": fault, "criterion": one} for fault, one in flaw.may_follow]} for flaw in FLAWS]


def _flaw(name: str) -> Flaw:
    found = next((flaw for flaw in FLAWS if flaw.name == name), None)
    if found is None:
        raise UnknownFlawError(f"no flaw is called {name!r}; these are known: {', '.join(flaw.name for flaw in FLAWS)}")
    return found
